/* The index ring (fab_index.h) with typed elements: one producer, one consumer, nothing lost. */
#ifndef FAB_INDEX_HPP
#define FAB_INDEX_HPP

#include <iterator>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "fab_error.hpp"
#include "fab_index.h"
#include "fab_span.hpp"

namespace fab {

/* IndexRing<T>::Producer and IndexRing<T>::Consumer are its two sides, each held by one process (or
 * thread). T: trivially copyable, a multiple of 8 bytes. One thread at a time for each side. */
template <class T>
class IndexRing {
    static_assert(std::is_trivially_copyable_v<T>, "elements are copied as bytes");
    static_assert(sizeof(T) % 8 == 0 && sizeof(T) <= 65536, "a multiple of 8 bytes up to 65536");
    static_assert(alignof(T) <= FAB_LINE, "elements start on a line of 128 bytes");

    class Side {
       public:
        std::uint64_t capacity() const noexcept { return fab_index_capacity(get()); }
        /* Elements so far. */
        std::uint64_t published() const noexcept { return fab_index_published(get()); }
        std::uint64_t released() const noexcept { return fab_index_released(get()); }
        bool other_alive() const noexcept { return fab_index_other_alive(get()) != 0; }
        fab_index *get() const noexcept { return ring_.get(); }

       protected:
        Side(const std::string &path, std::uint64_t capacity, int role) {
            fab_index *ring = nullptr;
            int rc = fab_index_create(path.c_str(), capacity, sizeof(T), role, &ring);
            detail::check(rc, "index ring ", path);
            ring_.reset(ring);
        }
        Side(const std::string &path, int role) {
            fab_index *ring = nullptr;
            detail::check(fab_index_open(path.c_str(), role, &ring), "index ring ", path);
            ring_.reset(ring);
            if (fab_index_element_bytes(ring) != sizeof(T))
                detail::raise(-EPROTO, "index ring " + path);
        }

       private:
        struct Close {
            void operator()(fab_index *ring) const noexcept { fab_index_close(ring); }
        };
        std::unique_ptr<fab_index, Close> ring_;
    };

   public:
    class Producer : public Side {
       public:
        /* Makes the ring if there is none; a dead process's side is taken over. */
        static Producer create(const std::string &path, std::uint64_t capacity) {
            return Producer(path, capacity, FAB_PRODUCER);
        }
        static Producer open(const std::string &path) { return Producer(path, FAB_PRODUCER); }

        /* Up to n free elements in place; empty = the ring is full. Less than n where the ring
         * wraps around. */
        Span<T> claim(std::size_t n) noexcept {
            void *run = nullptr;
            std::int64_t got = fab_index_claim(this->get(), n, &run);
            return {static_cast<T *>(run), static_cast<std::size_t>(got)};
        }
        /* The first n claimed elements. -EINVAL: more than were claimed. */
        std::int64_t publish(std::size_t n) noexcept { return fab_index_publish(this->get(), n); }

        /* Copies in as many as fit; how many. */
        std::size_t push(const T *elements, std::size_t n) noexcept {
            return static_cast<std::size_t>(fab_index_push(this->get(), elements, n));
        }
        bool push(const T &element) noexcept { return push(&element, 1) == 1; }
        template <class Elements, class = decltype(std::data(std::declval<const Elements &>()))>
        std::size_t push(const Elements &elements) noexcept {
            return push(std::data(elements), std::size(elements));
        }

       private:
        using Side::Side;
    };

    class Consumer : public Side {
       public:
        static Consumer create(const std::string &path, std::uint64_t capacity) {
            return Consumer(path, capacity, FAB_CONSUMER);
        }
        static Consumer open(const std::string &path) { return Consumer(path, FAB_CONSUMER); }

        /* Up to n unread elements in place; empty = nothing new. */
        Span<const T> peek(std::size_t n) noexcept {
            void *run = nullptr;
            std::int64_t got = fab_index_peek(this->get(), n, &run);
            return {static_cast<const T *>(run), static_cast<std::size_t>(got)};
        }
        /* The first n peeked elements go back to the producer. -EINVAL: more than were peeked. */
        std::int64_t release(std::size_t n) noexcept { return fab_index_release(this->get(), n); }

        /* Copies out up to n; how many there were. */
        std::size_t pop(T *elements, std::size_t n) noexcept {
            return static_cast<std::size_t>(fab_index_pop(this->get(), elements, n));
        }
        bool pop(T &element) noexcept { return pop(&element, 1) == 1; }
        template <class Elements, class = decltype(std::data(std::declval<Elements &>()))>
        std::size_t pop(Elements &elements) noexcept {
            return pop(std::data(elements), std::size(elements));
        }

       private:
        using Side::Side;
    };
};

}  // namespace fab
#endif
