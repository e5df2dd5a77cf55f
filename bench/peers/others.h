// The peers, each through the fastest interface it has for runs of records.
#pragma once

#include <new>

#include "measure.h"
#include "ours.h"

#ifdef HAVE_DPDK
#include <rte_ring.h>
#include <rte_ring_peek_zc.h>

// Not through the EAL: the ring's memory is ours. Flags say how producers and consumers lock.
template <unsigned Flags>
class Dpdk {
   public:
    explicit Dpdk(size_t capacity) {
        ssize_t bytes = rte_ring_get_memsize_elem(sizeof(Record), unsigned(capacity));
        memory.reset(aligned_alloc(128, (size_t(bytes) + 127) / 128 * 128));
        ring = static_cast<rte_ring *>(memory.get());
        if (rte_ring_init(ring, "bench", unsigned(capacity), Flags)) fail("rte_ring_init");
    }

    void put(int writer, uint64_t seq, size_t n) {
        Record *from = out[writer].record;
        fill(from, seq, n);
        while (n) {
            size_t k =
                rte_ring_enqueue_burst_elem(ring, from, sizeof(Record), unsigned(n), nullptr);
            from += k;
            n -= k;
            if (!k) miss();
        }
    }
    size_t take(Check &check, size_t n) {
        size_t k = rte_ring_dequeue_burst_elem(ring, in, sizeof(Record), unsigned(n), nullptr);
        check(in, k);
        return k;
    }

   protected:
    struct Free {
        void operator()(void *p) const { free(p); }
    };
    std::unique_ptr<void, Free> memory;
    rte_ring *ring;
    struct alignas(128) {
        Record record[MAX_BATCH];
    } out[2];
    alignas(128) Record in[MAX_BATCH];
};

struct DpdkElem : Dpdk<RING_F_SP_ENQ | RING_F_SC_DEQ> {
    static constexpr const char *name = "rte_ring SP/SC, elem";
    using Dpdk::Dpdk;
};
struct DpdkMulti : Dpdk<RING_F_SC_DEQ> {
    static constexpr const char *name = "rte_ring MP/SC, elem";
    using Dpdk::Dpdk;
};
struct DpdkHts : Dpdk<RING_F_MP_HTS_ENQ | RING_F_SC_DEQ> {
    static constexpr const char *name = "rte_ring MP HTS/SC, elem";
    using Dpdk::Dpdk;
};
struct DpdkRts : Dpdk<RING_F_MP_RTS_ENQ | RING_F_SC_DEQ> {
    static constexpr const char *name = "rte_ring MP RTS/SC, elem";
    using Dpdk::Dpdk;
};

// Start, fill or read in place, finish. HTS writers may do so too: start holds the others off.
template <unsigned Flags>
struct DpdkInPlace : Dpdk<Flags | RING_F_SC_DEQ> {
    using Dpdk<Flags | RING_F_SC_DEQ>::Dpdk;

    void put(int, uint64_t seq, size_t n) {
        while (n) {
            rte_ring_zc_data at;
            unsigned k = rte_ring_enqueue_zc_burst_elem_start(this->ring, sizeof(Record),
                                                              unsigned(n), &at, nullptr);
            if (!k) {
                miss();
                continue;
            }
            unsigned first = std::min(k, at.n1);
            fill(static_cast<Record *>(at.ptr1), seq, first);
            if (first < k) fill(static_cast<Record *>(at.ptr2), seq + first, k - first);
            rte_ring_enqueue_zc_elem_finish(this->ring, k);
            seq += k;
            n -= k;
        }
    }
    size_t take(Check &check, size_t n) {
        rte_ring_zc_data at;
        unsigned k = rte_ring_dequeue_zc_burst_elem_start(this->ring, sizeof(Record), unsigned(n),
                                                          &at, nullptr);
        if (!k) return 0;
        unsigned first = std::min(k, at.n1);
        check(static_cast<Record *>(at.ptr1), first);
        if (first < k) check(static_cast<Record *>(at.ptr2), k - first);
        rte_ring_dequeue_zc_elem_finish(this->ring, k);
        return k;
    }
};
struct DpdkZc : DpdkInPlace<RING_F_SP_ENQ> {
    static constexpr const char *name = "rte_ring SP/SC, zero copy";
    using DpdkInPlace::DpdkInPlace;
};
struct DpdkHtsZc : DpdkInPlace<RING_F_MP_HTS_ENQ> {
    static constexpr const char *name = "rte_ring MP HTS/SC, zero copy";
    using DpdkInPlace::DpdkInPlace;
};
#endif

#if __has_include(<boost/lockfree/spsc_queue.hpp>)
#define HAVE_BOOST
#include <boost/lockfree/spsc_queue.hpp>

class Boost {
   public:
    static constexpr const char *name = "Boost spsc_queue";
    explicit Boost(size_t capacity) : queue(capacity) {}

    void put(int, uint64_t seq, size_t n) {
        Record *from = out;
        fill(from, seq, n);
        while (n) {
            size_t k = queue.push(from, n);
            from += k;
            n -= k;
            if (!k) miss();
        }
    }
    size_t take(Check &check, size_t n) {
        size_t k = queue.pop(in, n);
        check(in, k);
        return k;
    }

   private:
    boost::lockfree::spsc_queue<Record> queue;
    alignas(128) Record out[MAX_BATCH];
    alignas(128) Record in[MAX_BATCH];
};
#endif

#if __has_include(<readerwriterqueue/readerwriterqueue.h>)
#define HAVE_READERWRITERQUEUE
#include <readerwriterqueue/readerwriterqueue.h>

class ReaderWriter {
   public:
    static constexpr const char *name = "moodycamel readerwriterqueue";
    explicit ReaderWriter(size_t capacity) : queue(capacity) {}

    void put(int, uint64_t seq, size_t n) {
        for (size_t i = 0; i < n; i++) {
            Record r;
            fill(&r, seq + i);
            while (!queue.try_enqueue(r)) miss();
        }
    }
    size_t take(Check &check, size_t n) {
        size_t k = 0;
        for (const Record *r; k < n && (r = queue.peek()) != nullptr; k++) {
            check(*r);
            queue.pop();
        }
        return k;
    }

   private:
    moodycamel::ReaderWriterQueue<Record> queue;
};
#endif

#if __has_include(<concurrentqueue/concurrentqueue.h>)
#define HAVE_CONCURRENTQUEUE
#include <concurrentqueue/concurrentqueue.h>

// Room is allocated beforehand, that of its tables of blocks too: try_enqueue does not allocate.
struct Tables : moodycamel::ConcurrentQueueDefaultTraits {
    static const size_t EXPLICIT_INITIAL_INDEX_SIZE = 4096, IMPLICIT_INITIAL_INDEX_SIZE = 4096;
};
template <bool Tokens>
class Concurrent {
    using Queue = moodycamel::ConcurrentQueue<Record, Tables>;

   public:
    static constexpr const char *name =
        Tokens ? "moodycamel concurrentqueue, tokens" : "moodycamel concurrentqueue";
    explicit Concurrent(size_t capacity)
        : queue(capacity, 2, 2),
          reader(queue),
          writer{Queue::producer_token_t(queue), Queue::producer_token_t(queue)} {}

    void put(int i, uint64_t seq, size_t n) {
        Record *from = out[i].record;
        fill(from, seq, n);
        for (int misses = 0; !attempt(i, from, n); misses++) {
            miss();
            // A token keeps the blocks it has had: one writer may have taken them all for good.
            if (misses == 10000) {
                if (!(Tokens ? queue.enqueue_bulk(writer[i], from, n)
                             : queue.enqueue_bulk(from, n)))
                    fail("concurrentqueue: out of memory");
                return;
            }
        }
    }
    size_t take(Check &check, size_t n) {
        size_t k = Tokens ? queue.try_dequeue_bulk(reader, in, n) : queue.try_dequeue_bulk(in, n);
        check(in, k);
        return k;
    }

   private:
    bool attempt(int i, Record *from, size_t n) {
        return Tokens ? queue.try_enqueue_bulk(writer[i], from, n)
                      : queue.try_enqueue_bulk(from, n);
    }

    Queue queue;
    Queue::consumer_token_t reader;
    Queue::producer_token_t writer[2];
    struct alignas(128) {
        Record record[MAX_BATCH];
    } out[2];
    alignas(128) Record in[MAX_BATCH];
};
#endif

// The design of rigtorp's SPSCQueue, written anew: a slot more than the capacity instead of
// free-running indices, each side's index and its copy of the other's on lines of their own,
// records one at a time, constructed and looked at in place.
class Rigtorp {
   public:
    static constexpr const char *name = "rigtorp's design (our rewrite)";
    explicit Rigtorp(size_t capacity)
        : slots(capacity + 1), memory(new Record[capacity + 1 + 2 * GAP]) {}

    void put(int, uint64_t seq, size_t n) {
        for (size_t i = 0; i < n; i++) {
            size_t at = tail.load(std::memory_order_relaxed), next = after(at);
            while (next == head_seen) {
                head_seen = head.load(std::memory_order_acquire);
                if (next == head_seen) miss();
            }
            fill(&memory[at + GAP], seq + i);
            tail.store(next, std::memory_order_release);
        }
    }
    size_t take(Check &check, size_t n) {
        size_t k = 0;
        for (; k < n; k++) {
            size_t at = head.load(std::memory_order_relaxed);
            if (at == tail_seen) {
                tail_seen = tail.load(std::memory_order_acquire);
                if (at == tail_seen) break;
            }
            check(memory[at + GAP]);
            head.store(after(at), std::memory_order_release);
        }
        return k;
    }

   private:
    static constexpr size_t GAP = 2;  // records between the slots and what lies beside them
    size_t after(size_t i) const { return i + 1 == slots ? 0 : i + 1; }

    const size_t slots;
    const std::unique_ptr<Record[]> memory;
    alignas(64) std::atomic<size_t> tail{0};
    alignas(64) size_t head_seen = 0;
    alignas(64) std::atomic<size_t> head{0};
    alignas(64) size_t tail_seen = 0;
};
