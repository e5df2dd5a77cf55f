// One producer, one consumer: throughput, latency, and the limits of the machine.
#pragma once

#include <cstring>

#include "measure.h"
#include "ours.h"

// The limit: blocks of 64 KiB change hands, a flag each; nothing that moves records can do less.
class HandOff {
   public:
    static constexpr const char *name = "hand-off";
    static constexpr size_t BLOCK = 1024;  // records
    explicit HandOff(size_t blocks) : n(blocks), block(new Block[blocks]) {}

    void put(int, uint64_t seq, size_t count) {
        Block &b = block[written++ % n];
        while (b.full.load(std::memory_order_acquire)) miss();
        fill(b.record, seq, count);
        b.full.store(count, std::memory_order_release);
    }
    size_t take(Check &check, size_t) {
        Block &b = block[read % n];
        size_t count = b.full.load(std::memory_order_acquire);
        if (!count) return 0;
        check(b.record, count);
        b.full.store(0, std::memory_order_release);
        read++;
        return count;
    }

   private:
    struct alignas(128) Block {
        std::atomic<size_t> full{0};
        alignas(128) Record record[BLOCK];
    };
    const size_t n;
    const std::unique_ptr<Block[]> block;
    alignas(128) size_t written = 0;
    alignas(128) size_t read = 0;
};

// A lap of the ring before the clock runs and one after, so that it runs in the steady state only.
template <class Queue>
Round pair_round(Queue &queue, size_t records, size_t batch, size_t lap) {
    size_t total = records + 2 * lap;
    Gate gate(2);
    long lost = 0;
    std::thread producer([&] {
        pin(PRODUCER_CPU);
        gate.wait();
        long before = lost_cores();
        for (size_t seq = 0; seq < total; seq += batch)
            queue.put(0, seq, std::min(batch, total - seq));
        lost = lost_cores() - before;
    });
    pin(CONSUMER_CPU);
    gate.wait();
    long before = lost_cores();
    Check check;
    size_t done = 0;
    auto until = [&](size_t goal) {
        while (done < goal) {
            size_t k = queue.take(check, batch);
            if (!k) miss();
            done += k;
        }
        return now_ns();
    };
    double start = until(lap);
    size_t from = done;
    double end = until(lap + records), n = double(done - from);
    until(total);
    producer.join();
    bool disturbed = lost + lost_cores() - before > 0;
    if (check.bad) fail(std::string(Queue::name) + ": records wrong or out of order");
    return {(end - start) / n, disturbed};
}

template <class Queue>
void add_pair(std::vector<Measured> &all, size_t capacity, size_t batch) {
    auto queue = std::make_shared<Queue>(capacity);
    all.push_back(
        {Queue::name, [=](size_t n) { return pair_round(*queue, n, batch, capacity); }, {}, {}});
}

inline void add_limits(std::vector<Measured> &all) {
    for (size_t blocks : {2, 4, 16}) {
        auto queue = std::make_shared<HandOff>(blocks);
        all.push_back({"hand-off of 64 KiB, " + std::to_string(blocks) + " blocks",
                       [=](size_t n) {
                           return pair_round(*queue, n, HandOff::BLOCK, blocks * HandOff::BLOCK);
                       },
                       {},
                       {}});
    }
    constexpr size_t COPY = 4096;  // records: 256 KiB from, 256 KiB to
    auto memory = std::make_shared<std::vector<Record>>(2 * COPY);
    all.push_back({"memcpy in L2",
                   [=](size_t n) {
                       pin(CONSUMER_CPU);
                       Record *to = memory->data(), *from = to + COPY;
                       fill(from, n, COPY);
                       long before = lost_cores();
                       double start = now_ns();
                       for (size_t done = 0; done < n; done += COPY) {
                           memcpy(to, from, COPY * sizeof(Record));
                           asm volatile("" : : "r"(to) : "memory");
                       }
                       double ns = now_ns() - start;
                       return Round{ns / double((n + COPY - 1) / COPY * COPY),
                                    lost_cores() > before};
                   },
                   {},
                   {}});
}

// ---- latency -----------------------------------------------------------------------------------

inline uint64_t ticks() {
    return __builtin_ia32_rdtsc();
}

inline double ns_per_tick() {
    double start = now_ns();
    uint64_t first = ticks();
    while (now_ns() - start < 2e7) {
    }
    return (now_ns() - start) / double(ticks() - first);
}

// Half a round trip through two queues, both sides polling.
template <class Queue>
class PingPong {
   public:
    explicit PingPong(size_t capacity) : there(capacity), back(capacity) {}

    void round(size_t messages, double tick) {
        Gate gate(2);
        long lost = 0;
        Check check, echo;
        std::thread server([&] {
            pin(PRODUCER_CPU);
            gate.wait();
            long before = lost_cores();
            for (size_t i = 0; i < messages; i++) {
                while (!there.take(echo, 1)) {
                }
                back.put(0, i, 1);
            }
            lost = lost_cores() - before;
        });
        pin(CONSUMER_CPU);
        std::vector<double> found(messages);
        gate.wait();
        long before = lost_cores();
        for (size_t i = 0; i < messages; i++) {
            uint64_t start = ticks();
            there.put(0, i, 1);
            while (!back.take(check, 1)) {
            }
            found[i] = double(ticks() - start) * tick / 2;
        }
        bool disturbed = lost_cores() > before;
        server.join();
        if (check.bad || echo.bad) fail(std::string(Queue::name) + ": records wrong");
        auto &into = disturbed || lost ? dirty : clean;
        into.insert(into.end(), found.begin(), found.end());
    }
    void report() {
        std::vector<double> &v = clean.empty() ? dirty : clean;
        printf(
            "{\"name\": \"%s\", \"min\": %.1f, \"p25\": %.1f, \"p50\": %.1f, \"p99\": %.1f, "
            "\"p999\": %.1f, \"clean\": %zu, \"all\": %zu}\n",
            Queue::name, quantile(v, 0), quantile(v, 0.25), quantile(v, 0.5), quantile(v, 0.99),
            quantile(v, 0.999), clean.size(), clean.size() + dirty.size());
    }

   private:
    Queue there, back;
    std::vector<double> clean, dirty;
};

struct Latency {
    std::function<void(size_t messages, double tick)> round;
    std::function<void()> report;
};

template <class Queue>
void add_latency(std::vector<Latency> &all, size_t capacity) {
    auto pair = std::make_shared<PingPong<Queue>>(capacity);
    all.push_back({[=](size_t n, double tick) { pair->round(n, tick); }, [=] { pair->report(); }});
}
