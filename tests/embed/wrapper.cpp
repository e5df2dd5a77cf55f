// The C++ wrapper class by class: what it gives back, what it refuses, and that moving and closing
// in any order leaves nothing behind (the sanitizers look on). usage: wrapper FOLDER
#include <fabcore.hpp>

#include <array>
#include <cstring>
#include <iostream>
#include <thread>
#include <vector>

#include "../c/check.h"

static_assert(!std::is_copy_constructible_v<fab::Ring> && !std::is_copy_assignable_v<fab::Ring>);
static_assert(!std::is_copy_constructible_v<fab::Bar> && !std::is_copy_constructible_v<fab::Node>);
static_assert(std::is_nothrow_move_constructible_v<fab::Ring> &&
              std::is_nothrow_move_assignable_v<fab::Reader> &&
              std::is_nothrow_move_assignable_v<fab::Switch> &&
              std::is_nothrow_move_assignable_v<fab::IndexRing<std::uint64_t>::Producer>);

namespace {

std::string folder;

// What() of the Error that f throws, "" if it throws none; *code is its errno.
template <class F>
std::string error_of(F &&f, int *code = nullptr) {
    try {
        f();
    } catch (const fab::Error &error) {
        if (code) *code = error.code().value();
        return error.what();
    }
    return "";
}

bool has(const std::string &text, const std::string &part) {
    return text.find(part) != std::string::npos;
}

struct Trade {
    std::uint64_t seq, number;
    double price;
};

void test_ring_gives_back_records_of_its_own_type() {
    using Trades = fab::BasicRing<Trade>;
    auto ring = Trades::create(folder + "/trades", 256);
    auto reader = ring.reader();
    std::vector<Trade> some(200);
    for (std::size_t i = 0; i < some.size(); i++) some[i] = {0, i, 0.5};
    CHECK_EQ(ring.publish(some), 200);
    CHECK_EQ(ring.publish(Trade{0, 200, 1.5}), 1);
    std::uint64_t next = 0;
    for (const Trade &trade : reader.records()) {
        CHECK_EQ(trade.number, next);
        CHECK_EQ(trade.seq, ++next);
    }
    CHECK_EQ(next, 201);
    for (int lap = 0; lap < 3; lap++) CHECK_EQ(ring.publish(some), 200);
    std::array<Trade, 1000> room;
    std::int64_t got = reader.read(room);
    CHECK_EQ(got + static_cast<std::int64_t>(reader.lost()), 600);
    CHECK_EQ(reader.lost(), 600 - 256);
    CHECK_EQ(reader.position(), ring.published());
    int code = 0;
    auto read_only = Trades::open(folder + "/trades");
    CHECK_EQ(read_only.publish(some), -EPERM);
    CHECK(has(error_of([] { fab::Ring::open(folder + "/trades"); }, &code), folder + "/trades"));
    CHECK_EQ(code, EPROTO);  // records of another size
    std::string busy = error_of([] { Trades::create(folder + "/trades", 256); }, &code);
    CHECK(code == EBUSY && has(busy, "a live process holds it"));
}

void test_reader_outlives_its_ring_and_moves() {
    auto a = std::make_unique<fab::Ring>(fab::Ring::create(folder + "/a", 16));
    auto b = std::make_unique<fab::Ring>(fab::Ring::create(folder + "/b", 16));
    fab_record record{};
    record.vm = 3;
    a->publish(record);
    record.vm = 4;
    b->publish(record);
    fab::Reader reader = a->reader();
    a.reset();
    std::array<fab_record, 4> out;
    CHECK_EQ(reader.read(out), 1);
    CHECK_EQ(out[0].vm, 3);
    reader = b->reader();  // the last of ring a goes here
    b.reset();
    CHECK_EQ(reader.read(out), 1);
    CHECK_EQ(out[0].vm, 4);
}

void test_index_ring_in_place_and_by_copy() {
    using Words = fab::IndexRing<std::uint64_t>;
    auto first = Words::Producer::create(folder + "/words", 8);
    auto consumer = Words::Consumer::open(folder + "/words");
    auto producer = std::move(first);
    CHECK_EQ(producer.push(std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6}), 6);
    auto run = consumer.peek(4);
    CHECK(run.size() == 4 && run[0] == 1 && run[3] == 4);
    CHECK_EQ(consumer.release(5), -EINVAL);  // more than were peeked
    CHECK_EQ(consumer.release(4), 4);
    auto room = producer.claim(8);  // up to where the ring wraps around
    CHECK_EQ(room.size(), 2);
    room[0] = 7, room[1] = 8;
    CHECK_EQ(producer.publish(3), -EINVAL);
    CHECK_EQ(producer.publish(2), 2);
    CHECK(producer.push(9));
    std::array<std::uint64_t, 16> out{};
    CHECK_EQ(consumer.pop(out), 5);
    CHECK(out[0] == 5 && out[4] == 9);
    std::uint64_t one = 0;
    CHECK(!consumer.pop(one) && consumer.peek(1).empty());
    CHECK(consumer.other_alive() && producer.published() == 9 && producer.released() == 9);
    int code = 0;
    CHECK(has(error_of([] { Words::Producer::open(folder + "/words"); }, &code), "/words"));
    CHECK_EQ(code, EBUSY);
    error_of([] { fab::IndexRing<Trade>::Consumer::open(folder + "/none"); }, &code);
    CHECK_EQ(code, ENOENT);
}

struct Ask {
    std::uint32_t a, b;
};

void test_request_gets_its_reply_or_the_servers_error() {
    using namespace std::chrono_literals;
    auto server = fab::RequestServer::create(folder + "/queue", 8, sizeof(Ask), 8);
    auto client = fab::RequestClient::open(folder + "/queue");
    CHECK(!server.serve([](auto, auto, auto) { return std::int64_t{0}; }, 1ms));
    std::thread serving([&server] {
        auto divide = [](fab::Span<const unsigned char> request, fab::Span<unsigned char> reply,
                         std::uint64_t) -> std::int64_t {
            Ask ask{};
            std::memcpy(&ask, request.data(), request.size());
            if (ask.b == 0) return -EDOM;
            if (ask.b == 13) throw std::runtime_error("handler");
            if (ask.b == 14) return 9;  // more than there is room for
            std::uint64_t quotient = ask.a / ask.b;
            std::memcpy(reply.data(), &quotient, sizeof quotient);
            return sizeof quotient;
        };
        for (int served = 0, raised = 0; served + raised < 4;) {
            try {
                served += server.serve(divide, 5s);
            } catch (const std::exception &) {
                raised++;
            }
        }
    });
    CHECK_EQ(client.call<std::uint64_t>(Ask{42, 7}, 5s), 6);
    for (auto [b, expected] : {std::pair{0u, EDOM}, {13u, EIO}, {14u, EMSGSIZE}}) {
        int code = 0;
        auto what = error_of([&, b = b] { client.call<std::uint64_t>(Ask{1, b}, 5s); }, &code);
        CHECK(has(what, folder + "/queue"));
        CHECK_EQ(code, expected);
    }
    serving.join();
    std::array<char, 64> big{};
    CHECK_EQ(client.call(big.data(), big.size(), big.data(), big.size(), 1s), -EMSGSIZE);
    Ask ask{1, 1};
    CHECK_EQ(client.call(&ask, sizeof ask, &ask, sizeof ask, 1ms), -ETIMEDOUT);
}

fab::Node make_node() {
    fab_node_config config{};
    config.switches = 1;
    config.mps = 256;
    config.mrrs = 512;
    config.device_id[0] = 0x5200;
    std::memset(config.route, 0xFF, sizeof config.route);
    config.modules[0].vfs = 8;
    fab_node_port module{}, host{};
    module.kind = FAB_PORT_MODULE;
    host.kind = FAB_PORT_HOST;
    host.port = 16;
    for (auto *port : {&module, &host}) {
        port->gen = 5;
        port->cfg_lanes = port->lanes = 16;
        port->peer_switch = port->peer_port = 0xFF;
        port->phases = 32;
        port->capacity = 50e9;
    }
    return fab::Node(config, {module, host});
}

void test_bar_reads_what_was_written_and_names_what_is_wrong() {
    std::vector<std::uint64_t> memory(512);
    auto bar = fab::Bar::from_buffer(memory.data(), 4096);
    bar.write32(8, 0x11223344);
    CHECK_EQ(bar.read16(8), 0x3344);
    CHECK_EQ(bar.read8(11), 0x11);
    bar.write64(16, 5);
    CHECK_EQ(memory[2], 5);
    std::array<char, 8> block{};
    bar.read_block(8, block.data(), 4);
    CHECK_EQ(block[0], 0x44);
    std::uint32_t value = 0;
    CHECK_EQ(bar.try_read(4096, value), -ERANGE);
    CHECK(has(error_of([&] { bar.read32(2); }), "read of 4 bytes at 0x2 is not aligned"));
    CHECK(has(error_of([&] { bar.write64(4096, 1); }), "write of 8 bytes at 0x1000"));
    int code = 0;
    CHECK(has(error_of([] { fab::Bar::open("shm:no-such-node"); }, &code), "shm:no-such-node"));
    CHECK_EQ(code, ENODEV);
    error_of([&] { bar.offer(0, 1, 1.0, 1.0); }, &code);  // no emulated node behind it
    CHECK_EQ(code, ENOTSUP);
    CHECK(has(error_of([&] { fab::Switch(std::move(bar)); }, &code), "switch behind BAR"));
    CHECK_EQ(code, ERANGE);  // no room for a switch's registers
}

void test_switch_speaks_for_a_node_that_it_keeps() {
    auto node = std::make_unique<fab::Node>(make_node());
    fab::Switch sw(node->bar(0));
    CHECK_EQ(sw.identify().device_id, 0x5200);
    CHECK_EQ(sw.ports().size(), 2);
    CHECK_EQ(sw.routes()[0], 0xFF);  // itself
    CHECK_EQ(sw.routes().size(), 1);
    sw.bind(0, 16, 0, fab::pdfid(0, 1));
    std::vector<std::uint8_t> table(32, 0);
    CHECK(sw.load_port_table(16, table) > 0);
    CHECK(sw.port_table(16) == table);
    sw.bar().offer(0, 1, 10e9, 0);
    node->advance(0.1);
    CHECK_EQ(sw.bar().cell(0, 1).out.up_bytes, 1000000000);
    CHECK_EQ(sw.counters({16})[0].egress_posted, 1000000000);
    CHECK_EQ(node->time_ns(), 100000000);
    node->fault(0, FAB_FAULT_LINK_DOWN, 16);
    CHECK(sw.link_events() == std::vector<std::uint8_t>{16});
    std::uint32_t id = 0, firmware = 0;
    try {
        sw.bind(0, 0, 1, fab::pdfid(0, 2));  // port 0 is no host's
    } catch (const fab::FirmwareError &error) {
        id = error.id, firmware = error.firmware;
        CHECK(has(error.what(), "emulated/0: bind: MRPC 0x84"));
    }
    CHECK(id == 0x84 && firmware != 0);
    CHECK(has(error_of([&] { node->bar(1); }), "switch 1 of node emulated"));
    auto other = make_node();
    fab::Switch second(other.bar(0));
    sw = std::move(second);  // closes the first switch, then its bar
    node.reset();
    CHECK_EQ(sw.identify().generation, 5);
}

}  // namespace

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    folder = argv[1];
    test_ring_gives_back_records_of_its_own_type();
    test_reader_outlives_its_ring_and_moves();
    test_index_ring_in_place_and_by_copy();
    test_request_gets_its_reply_or_the_servers_error();
    test_bar_reads_what_was_written_and_names_what_is_wrong();
    test_switch_speaks_for_a_node_that_it_keeps();
    if (!check_failures) std::cout << "wrapper: all as expected\n";
    return CHECK_RESULT;
}
