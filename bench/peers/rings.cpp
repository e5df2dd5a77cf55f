// The rings beside their peers: one process of one measurement, a JSON line a queue.
//
//   rings pair BATCH CAPACITY ROUNDS        one producer, one consumer, throughput
//   rings latency CAPACITY ROUNDS           half a round trip through two queues
//   rings writers READER BATCH CAPACITY ROUNDS   two writers; READER 0: filling, 1: with a reader
//   rings one-writer BATCH CAPACITY ROUNDS  the queues for many writers with one writer
//   rings readers N BATCH CAPACITY GAP_NS   the followed ring with N readers
//   rings limits ROUNDS                     what the machine can do
#include "crowd.h"
#include "measure.h"
#include "others.h"
#include "ours.h"
#include "pair.h"

namespace {

using FollowedOne = Followed<FAB_ONE_WRITER>;
using FollowedMany = Followed<FAB_MANY_WRITERS>;

constexpr double ROUND_NS = 0.7e6;

// Calls f with a pointer to each kind of queue for one producer and one consumer.
template <class F>
void each_pair(F f) {
    f(static_cast<IndexInPlace *>(nullptr));
    f(static_cast<IndexCopy *>(nullptr));
    f(static_cast<FollowedOne *>(nullptr));
#ifdef HAVE_DPDK
    f(static_cast<DpdkZc *>(nullptr));
    f(static_cast<DpdkElem *>(nullptr));
#endif
#ifdef HAVE_BOOST
    f(static_cast<Boost *>(nullptr));
#endif
#ifdef HAVE_READERWRITERQUEUE
    f(static_cast<ReaderWriter *>(nullptr));
#endif
    f(static_cast<Rigtorp *>(nullptr));
}

template <class F>
void each_multi(F f) {
    f(static_cast<FollowedMany *>(nullptr));
#ifdef HAVE_DPDK
    f(static_cast<DpdkMulti *>(nullptr));
    f(static_cast<DpdkHts *>(nullptr));
    f(static_cast<DpdkHtsZc *>(nullptr));
    f(static_cast<DpdkRts *>(nullptr));
#endif
#ifdef HAVE_CONCURRENTQUEUE
    f(static_cast<Concurrent<false> *>(nullptr));
    f(static_cast<Concurrent<true> *>(nullptr));
#endif
}

size_t number(const char *text) {
    return strtoull(text, nullptr, 10);
}

void latency(size_t capacity, int rounds) {
    std::vector<Latency> all;
    auto add = [&](auto *q) { add_latency<std::remove_pointer_t<decltype(q)>>(all, capacity); };
    each_pair(add);
    each_multi(add);
    double tick = ns_per_tick();
    for (int k = 0; k < rounds; k++)
        for (Latency &l : all) l.round(2000, tick);
    for (Latency &l : all) l.report();
}

}  // namespace

int main(int argc, char **argv) {
    std::string mode = argc > 1 ? argv[1] : "";
    std::vector<size_t> n;
    for (int i = 2; i < argc; i++) n.push_back(number(argv[i]));
    std::vector<Measured> all;
    auto pair = [&](auto *q) { add_pair<std::remove_pointer_t<decltype(q)>>(all, n[1], n[0]); };
    if (mode == "pair" && n.size() == 3) {
        each_pair(pair);
        measure(all, int(n[2]), ROUND_NS, 2 * n[1]);
    } else if (mode == "one-writer" && n.size() == 3) {
        each_multi(pair);
        measure(all, int(n[2]), ROUND_NS, 2 * n[1]);
    } else if (mode == "latency" && n.size() == 2) {
        latency(n[0], int(n[1]));
    } else if (mode == "writers" && n.size() == 4) {
        each_multi([&](auto *q) {
            add_crowd<std::remove_pointer_t<decltype(q)>>(all, n[2], n[1], n[0] != 0);
        });
        measure(all, int(n[3]), n[0] ? 20 * ROUND_NS : ROUND_NS, 2 * n[2]);
    } else if (mode == "limits" && n.size() == 1) {
        add_limits(all);
        measure(all, int(n[0]), ROUND_NS, 1 << 16);
    } else if (mode == "readers" && n.size() == 4) {
        follow(n[2], n[1], int(n[0]), double(n[3]), 0.3);
    } else {
        fail("see the head of rings.cpp");
    }
    return 0;
}
