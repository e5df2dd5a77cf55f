/* The followed ring (fab_ring.h) with typed records: writers never wait, readers may be lapped. */
#ifndef FAB_RING_HPP
#define FAB_RING_HPP

#include <array>
#include <iterator>
#include <memory>
#include <string>
#include <type_traits>

#include "fab_error.hpp"
#include "fab_ring.h"

namespace fab {

/* A reader's place in a ring; keeps the ring's mapping alive. One thread at a time. */
template <class Record>
class BasicReader {
   public:
    /* Copies up to max records, returns how many; 0 = nothing new. None is torn: those overwritten
     * meanwhile are counted in lost(). */
    std::int64_t read(Record *out, std::size_t max) noexcept {
        return fab_reader_read(reader_.get(), out, max);
    }
    /* Fills an array or vector from the front, up to its size. */
    template <class Records>
    std::int64_t read(Records &out) noexcept {
        return read(std::data(out), std::size(out));
    }
    std::uint64_t lost() const noexcept { return fab_reader_lost(reader_.get()); }
    std::uint64_t position() const noexcept { return fab_reader_position(reader_.get()); }
    fab_reader *get() const noexcept { return reader_.get(); }

    /* `for (const Record &record : reader.records())`: whatever is new, block by block, until there
     * is nothing new. What the loop leaves of a block is gone. */
    class Records {
       public:
        class Iterator {
           public:
            using iterator_category = std::input_iterator_tag;
            using value_type = Record;
            using difference_type = std::ptrdiff_t;
            using pointer = const Record *;
            using reference = const Record &;

            Iterator() noexcept = default;
            explicit Iterator(Records *from) noexcept : from_(from) { settle(); }
            reference operator*() const noexcept { return from_->block_[from_->at_]; }
            pointer operator->() const noexcept { return &**this; }
            Iterator &operator++() noexcept {
                from_->at_++;
                settle();
                return *this;
            }
            void operator++(int) noexcept { ++*this; }
            bool operator==(const Iterator &other) const noexcept { return from_ == other.from_; }
            bool operator!=(const Iterator &other) const noexcept { return from_ != other.from_; }

           private:
            void settle() noexcept {
                if (!from_->more()) from_ = nullptr;
            }
            Records *from_ = nullptr;
        };

        explicit Records(BasicReader &reader) noexcept : reader_(reader) {}
        Iterator begin() noexcept { return Iterator(this); }
        Iterator end() const noexcept { return Iterator(); }

       private:
        bool more() noexcept {
            if (at_ < size_) return true;
            at_ = 0;
            size_ = static_cast<std::size_t>(reader_.read(block_));
            return size_ > 0;
        }
        BasicReader &reader_;
        std::array<Record, 64> block_;
        std::size_t at_ = 0, size_ = 0;
    };
    Records records() noexcept { return Records(*this); }

   private:
    template <class>
    friend class BasicRing;

    /* The ring is closed after its readers, also where one reader is assigned over another. */
    struct Close {
        std::shared_ptr<fab_ring> ring;
        void operator()(fab_reader *reader) const noexcept { fab_reader_close(reader); }
    };
    explicit BasicReader(fab_reader *reader, std::shared_ptr<fab_ring> ring)
        : reader_(reader, Close{std::move(ring)}) {}

    std::unique_ptr<fab_reader, Close> reader_;
};

/* One handle of a ring whose records are Record: trivially copyable, a multiple of 8 bytes from 16
 * to 4096, the first of them a std::uint64_t that the ring sets. One thread at a time. */
template <class Record>
class BasicRing {
    static_assert(std::is_trivially_copyable_v<Record>, "records are copied as bytes");
    static_assert(sizeof(Record) % 8 == 0 && sizeof(Record) >= 16 && sizeof(Record) <= 4096,
                  "a record is 16 to 4096 bytes, a multiple of 8");

   public:
    using Reader = BasicReader<Record>;

    /* Makes the ring, or takes it over from a dead writer; FAB_MANY_WRITERS joins those it has. */
    static BasicRing create(const std::string &path, std::uint64_t capacity,
                            int writers = FAB_ONE_WRITER) {
        fab_ring *ring = nullptr;
        int rc = fab_ring_create(path.c_str(), capacity, sizeof(Record), writers, &ring);
        detail::check(rc, "ring ", path);
        return BasicRing(ring, path);
    }
    /* For reading. */
    static BasicRing open(const std::string &path) {
        fab_ring *ring = nullptr;
        detail::check(fab_ring_open(path.c_str(), &ring), "ring ", path);
        BasicRing opened(ring, path);
        if (fab_ring_record_bytes(ring) != sizeof(Record)) detail::raise(-EPROTO, "ring " + path);
        return opened;
    }

    BasicRing(BasicRing &&) noexcept = default;
    BasicRing &operator=(BasicRing &&) noexcept = default;

    /* Never waits; returns how many were written (many writers: those dropped are missing), or
     * -EPERM where the ring was opened for reading. */
    std::int64_t publish(const Record *records, std::size_t n) noexcept {
        return fab_ring_publish(ring_.get(), records, n);
    }
    std::int64_t publish(const Record &record) noexcept { return publish(&record, 1); }
    template <class Records, class = decltype(std::data(std::declval<const Records &>()))>
    std::int64_t publish(const Records &records) noexcept {
        return publish(std::data(records), std::size(records));
    }

    Reader reader(int from = FAB_FROM_OLDEST) const {
        fab_reader *reader = nullptr;
        detail::check(fab_reader_open(ring_.get(), from, &reader), "reader of ring ", path_);
        return Reader(reader, ring_);
    }
    std::uint64_t capacity() const noexcept { return fab_ring_capacity(ring_.get()); }
    std::uint64_t published() const noexcept { return fab_ring_published(ring_.get()); }
    std::uint64_t dropped() const noexcept { return fab_ring_dropped(ring_.get()); }
    const std::string &path() const noexcept { return path_; }
    fab_ring *get() const noexcept { return ring_.get(); }

   private:
    BasicRing(fab_ring *ring, std::string path)
        : ring_(ring, fab_ring_close), path_(std::move(path)) {}

    std::shared_ptr<fab_ring> ring_; /* shared with its readers only */
    std::string path_;
};

/* Of telemetry records, as Python's fabcore.Ring. */
using Ring = BasicRing<fab_record>;
using Reader = BasicReader<fab_record>;

}  // namespace fab
#endif
