// Several writers into one queue, and several readers of one followed ring.
#pragma once

#include "measure.h"
#include "ours.h"

// Two writers, a core each, fill an empty queue at once; then its reader empties it. Time per
// record is the writers'. A round needs a core for both from end to end, or it is disturbed.
template <class Queue>
Round contended_round(Queue &queue, size_t records, size_t batch) {
    Gate gate(2);
    double start[2], end[2];
    long lost[2];
    auto write = [&](int i) {
        pin(i);
        uint64_t first = uint64_t(i) << WRITER_SHIFT;
        gate.wait();
        long before = lost_cores();
        start[i] = now_ns();
        for (size_t k = 0; k < records / 2; k += batch)
            queue.put(i, first + k, std::min(batch, records / 2 - k));
        end[i] = now_ns();
        lost[i] = lost_cores() - before;
    };
    std::thread other([&] { write(1); });
    write(0);
    other.join();
    Check check;
    for (size_t done = 0; done < records / 2 * 2;) done += queue.take(check, batch);
    if (check.bad) fail(std::string(Queue::name) + ": records wrong or out of order");
    double ns = std::max(end[0], end[1]) - std::min(start[0], start[1]);
    double together = std::min(end[0], end[1]) - std::max(start[0], start[1]);
    return {ns / double(records / 2 * 2), lost[0] + lost[1] > 0 || together < ns / 2};
}

// Two writers and a reader on two cores: who waits gives its core up.
template <class Queue>
Round crowded_round(Queue &queue, size_t records, size_t batch) {
    yield_on_miss = true;
    Gate gate(3);
    std::vector<std::thread> writers;
    for (int i = 0; i < 2; i++)
        writers.emplace_back([&, i] {
            pin(i);
            uint64_t first = uint64_t(i) << WRITER_SHIFT;
            gate.wait();
            for (size_t k = 0; k < records / 2; k += batch)
                queue.put(i, first + k, std::min(batch, records / 2 - k));
        });
    pin(CONSUMER_CPU);
    gate.wait();
    double start = now_ns();
    Check check;
    for (size_t done = 0; done < records / 2 * 2;) {
        size_t k = queue.take(check, batch);
        if (!k) miss();
        done += k;
    }
    double ns = now_ns() - start;
    for (std::thread &t : writers) t.join();
    yield_on_miss = false;
    if (check.bad) fail(std::string(Queue::name) + ": records wrong or out of order");
    return {ns / double(records / 2 * 2), false};
}

template <class Queue>
void add_crowd(std::vector<Measured> &all, size_t capacity, size_t batch, bool reader) {
    auto queue = std::make_shared<Queue>(capacity);
    all.push_back({Queue::name,
                   [=](size_t n) {
                       if (reader) return crowded_round(*queue, n, batch);
                       return contended_round(*queue, std::min(n, capacity / 2), batch);
                   },
                   {},
                   {}});
}

// ---- many readers ------------------------------------------------------------------------------

// The writer has a core; all readers share the other. gap_ns: between two batches, 0 = none.
inline void follow(size_t capacity, size_t batch, int readers, double gap_ns, double seconds) {
    std::string path = ring_path();
    fab_ring *writer;
    must(fab_ring_create(path.c_str(), capacity, sizeof(Record), FAB_ONE_WRITER, &writer),
         "fab_ring_create");
    std::atomic<bool> stop{false};
    Gate gate(readers + 1);
    std::vector<uint64_t> got(size_t(readers), 0), lost(size_t(readers), 0);
    std::vector<std::thread> threads;
    for (size_t i = 0; i < got.size(); i++)
        threads.emplace_back([&, i] {
            fab_ring *ring;
            fab_reader *reader;
            pin(CONSUMER_CPU);
            must(fab_ring_open(path.c_str(), &ring), "fab_ring_open");
            must(fab_reader_open(ring, FAB_FROM_OLDEST, &reader), "fab_reader_open");
            std::vector<Record> in(batch);
            gate.wait();
            uint64_t bad = 0;
            while (!stop.load(std::memory_order_relaxed)) {
                uint64_t before = fab_reader_position(reader), gone = fab_reader_lost(reader);
                size_t k = size_t(fab_reader_read(reader, in.data(), batch));
                if (!k) miss();
                uint64_t last = before;
                for (size_t j = 0; j < k; j++) {
                    const uint64_t *w = in[j].word;
                    uint64_t sum = w[1] + w[2] + w[3] + w[4] + w[5] + w[6] + w[7];
                    bad += w[0] <= last || sum != 7 * (w[0] - 1) + 28;
                    last = w[0];
                }
                got[i] += k;
                bad += fab_reader_position(reader) - before != k + fab_reader_lost(reader) - gone;
            }
            lost[i] = fab_reader_lost(reader);
            if (bad) fail("followed ring: a record torn, or a loss not counted");
            fab_reader_close(reader);
            fab_ring_close(ring);
        });
    pin(PRODUCER_CPU);
    std::vector<Record> out(batch);
    gate.wait();
    double start = now_ns(), end = start, next = start;
    uint64_t seq = 0;
    for (; end - start < seconds * 1e9; end = now_ns()) {
        if (end < next) continue;
        next += gap_ns;
        fill(out.data(), seq, batch);
        seq += uint64_t(fab_ring_publish(writer, out.data(), batch));
    }
    stop = true;
    for (std::thread &t : threads) t.join();
    fab_ring_close(writer);
    unlink(path.c_str());
    uint64_t all = 0, gone = 0;
    for (size_t i = 0; i < got.size(); i++) all += got[i], gone += lost[i];
    printf("{\"readers\": %d, \"published\": %.0f, \"read\": %.0f, \"lost\": %.6f}\n", readers,
           double(seq) / (end - start) * 1e9, double(all) / readers / (end - start) * 1e9,
           double(gone) / double(all + gone));
}
