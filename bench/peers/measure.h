// What every measurement shares: the record and its check, pinning, rounds, percentiles, output.
//
// A round is less than a millisecond and begins after a short sleep, so that on a busy machine some
// rounds run from end to end without losing a core: a round in which the kernel took a core away
// from one of its threads is put aside, and used only if there is no other.
#pragma once

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

constexpr int PRODUCER_CPU = 1, CONSUMER_CPU = 0;
constexpr int WRITER_SHIFT = 56;  // a sequence number: writer above, its own count below

// Word 0 is left to the queue: the followed ring keeps its own sequence there.
struct alignas(64) Record {
    uint64_t word[8];
};

inline void fill(Record *r, uint64_t seq) {
    for (uint64_t i = 0; i < 8; i++) r->word[i] = seq + i;
}
inline void fill(Record *r, uint64_t seq, size_t n) {
    for (size_t i = 0; i < n; i++) fill(r + i, seq + i);
}

// Reads all 64 bytes of each record and checks that none is torn, missing or out of order.
struct Check {
    uint64_t next[4] = {};  // by writer
    uint64_t bad = 0, sink = 0;

    void operator()(const Record &r) {
        const uint64_t *w = r.word, seq = w[1] - 1;
        uint64_t sum = w[2] + w[3] + w[4] + w[5] + w[6] + w[7];
        uint64_t &want = next[seq >> WRITER_SHIFT & 3];
        bad += (seq & ((UINT64_C(1) << WRITER_SHIFT) - 1)) != want || sum != 6 * seq + 27;
        want++;
        sink += w[0];
    }
    void operator()(const Record *r, size_t n) {
        for (size_t i = 0; i < n; i++) (*this)(r[i]);
    }
};

inline bool yield_on_miss = false;  // when there are more threads than cores

inline void miss() {
    if (yield_on_miss) {
        sched_yield();
        return;
    }
    for (int i = 0; i < 4; i++) __builtin_ia32_pause();
}

inline void fail(const std::string &what) {
    fprintf(stderr, "%s\n", what.c_str());
    exit(1);
}

inline void pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set)) fail("cannot pin to cpu " + std::to_string(cpu));
}

inline double now_ns() {
    using namespace std::chrono;
    return duration<double, std::nano>(steady_clock::now().time_since_epoch()).count();
}

inline long lost_cores() {
    rusage use;
    getrusage(RUSAGE_THREAD, &use);
    return use.ru_nivcsw;
}

// Starts all threads of a round together.
class Gate {
    std::atomic<int> missing;

   public:
    explicit Gate(int threads) : missing(threads) {}
    void wait() {
        std::this_thread::sleep_for(std::chrono::microseconds(200));
        missing.fetch_sub(1);
        for (int spin = 0; missing.load() > 0; spin++)
            if (spin < 10000)
                __builtin_ia32_pause();
            else
                sched_yield();
    }
};

struct Round {
    double ns = 0;  // per record
    bool disturbed = false;
};

// One thing to measure: rounds of it are taken in turn with the others'.
struct Measured {
    std::string name;
    std::function<Round(size_t records)> round;
    std::vector<double> clean, all;
    double guess = 50;

    void turn(double target_ns, size_t least) {
        Round r = round(std::max(least, size_t(target_ns / guess)));
        all.push_back(r.ns);
        if (!r.disturbed) clean.push_back(r.ns);
        guess = std::min(guess, r.ns);
    }
};

inline double quantile(std::vector<double> &v, double q) {
    size_t at = std::min(v.size() - 1, size_t(q * double(v.size())));
    std::nth_element(v.begin(), v.begin() + long(at), v.end());
    return v[at];
}

inline void report(Measured &m) {
    std::vector<double> &v = m.clean.empty() ? m.all : m.clean;
    printf("{\"name\": \"%s\", \"min\": %.4f, \"median\": %.4f, \"rounds\": %zu, \"clean\": %zu}\n",
           m.name.c_str(), quantile(v, 0), quantile(v, 0.5), m.all.size(), m.clean.size());
}

// Rounds of all in turn until `rounds` are clean for each, or four times as many are done.
inline void measure(std::vector<Measured> &all, int rounds, double target_ns, size_t least) {
    for (int k = 0; k < 4 * rounds; k++)
        for (Measured &m : all)
            if (int(m.clean.size()) < rounds) m.turn(target_ns, least);
    for (Measured &m : all) report(m);
}
