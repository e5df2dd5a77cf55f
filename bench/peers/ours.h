// fabcore's rings as the measurements see them. put() waits for room, take() takes what there is.
#pragma once

#include <fabcore.h>
#include <unistd.h>

#include "measure.h"

constexpr size_t MAX_BATCH = 1024;

inline std::string ring_path() {
    static int made = 0;
    return "/dev/shm/fab-bench-" + std::to_string(getpid()) + "-" + std::to_string(made++);
}

inline void must(int64_t rc, const char *what) {
    if (rc < 0) fail(std::string(what) + ": " + std::to_string(rc));
}

class Index {
   public:
    explicit Index(size_t capacity) {
        std::string path = ring_path();
        must(fab_index_create(path.c_str(), capacity, sizeof(Record), FAB_PRODUCER, &producer),
             "fab_index_create");
        must(fab_index_open(path.c_str(), FAB_CONSUMER, &consumer), "fab_index_open");
        unlink(path.c_str());
    }
    Index(const Index &) = delete;
    ~Index() {
        fab_index_close(producer);
        fab_index_close(consumer);
    }

   protected:
    fab_index *producer = nullptr, *consumer = nullptr;
};

struct IndexInPlace : Index {
    static constexpr const char *name = "index ring, in place";
    using Index::Index;

    void put(int, uint64_t seq, size_t n) {
        while (n) {
            void *run;
            size_t k = size_t(fab_index_claim(producer, n, &run));
            if (!k) {
                miss();
                continue;
            }
            fill(static_cast<Record *>(run), seq, k);
            fab_index_publish(producer, k);
            seq += k;
            n -= k;
        }
    }
    size_t take(Check &check, size_t n) {
        void *run;
        size_t k = size_t(fab_index_peek(consumer, n, &run));
        if (!k) return 0;
        check(static_cast<Record *>(run), k);
        fab_index_release(consumer, k);
        return k;
    }
};

struct IndexCopy : Index {
    static constexpr const char *name = "index ring, copy";
    using Index::Index;

    void put(int, uint64_t seq, size_t n) {
        Record *from = out;
        fill(from, seq, n);
        for (;;) {
            size_t k = size_t(fab_index_push(producer, from, n));
            if (k == n) return;
            from += k;
            n -= k;
            if (!k) miss();
        }
    }
    size_t take(Check &check, size_t n) {
        size_t k = size_t(fab_index_pop(consumer, in, n));
        check(in, k);
        return k;
    }

   private:
    alignas(128) Record out[MAX_BATCH];
    alignas(128) Record in[MAX_BATCH];
};

// The followed ring's writers never wait for a reader. So that no record is lost here, as none is
// in the peers, the reader says from time to time how far it has come and writers stay behind.
template <int Kind>
class Followed {
   public:
    static constexpr const char *name =
        Kind == FAB_MANY_WRITERS ? "followed ring, many writers" : "followed ring";

    explicit Followed(size_t capacity) : room(capacity), reported(0) {
        std::string path = ring_path();
        for (int i = 0; i < (Kind == FAB_MANY_WRITERS ? 2 : 1); i++)
            must(fab_ring_create(path.c_str(), capacity, sizeof(Record), Kind, &side[i].ring),
                 "fab_ring_create");
        must(fab_ring_open(path.c_str(), &ring), "fab_ring_open");
        must(fab_reader_open(ring, FAB_FROM_OLDEST, &reader), "fab_reader_open");
        unlink(path.c_str());
    }
    Followed(const Followed &) = delete;
    ~Followed() {
        fab_reader_close(reader);
        fab_ring_close(ring);
        for (Side &s : side)
            if (s.ring) fab_ring_close(s.ring);
    }

    void put(int writer, uint64_t seq, size_t n) {
        Side &s = side[writer];
        fill(s.out, seq, n);
        while (position(s) + 2 * n > s.seen + room) {  // 2: the other writer may be about to, too
            s.seen = reported.load(std::memory_order_acquire);
            if (position(s) + 2 * n > s.seen + room) miss();
        }
        if (fab_ring_publish(s.ring, s.out, n) != int64_t(n)) fail("a record was dropped");
    }
    size_t take(Check &check, size_t n) {
        size_t k = size_t(fab_reader_read(reader, in, n));
        check(in, k);
        uint64_t at = fab_reader_position(reader);
        if (at - told >= room / 8) reported.store(told = at, std::memory_order_release);
        return k;
    }

   private:
    struct alignas(128) Side {
        fab_ring *ring = nullptr;
        uint64_t seen = 0;
        alignas(128) Record out[MAX_BATCH];
    };
    static uint64_t position(const Side &s) {
        return Kind == FAB_MANY_WRITERS ? fab_ring_published(s.ring) : s.ring->published;
    }

    Side side[2];
    uint64_t room;
    alignas(128) std::atomic<uint64_t> reported;
    alignas(128) fab_ring *ring = nullptr;
    fab_reader *reader = nullptr;
    uint64_t told = 0;
    alignas(128) Record in[MAX_BATCH];
};
