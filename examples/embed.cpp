// The core inside a C++17 program: what was opened is closed by itself, elements have a type, and
// errors are exceptions that name the culprit.
//
//   c++ -std=c++17 embed.cpp $(python -m fabcore --cflags --libs) -pthread -o embed
//   ./embed /dev/shm/embed.index
#include <fabcore.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <iostream>
#include <thread>

namespace {

constexpr std::uint8_t module_port = 0, host_port = 16, function = 1;
constexpr std::uint64_t samples = 1'000'000;

struct Sample {
    std::uint64_t number;
    double bytes_per_s;
};
using Samples = fab::IndexRing<Sample>;

// One PAX Gen5 switch with an accelerator and a host, both x16.
fab::Node make_node() {
    fab_node_config config{};
    config.switches = 1;
    config.mps = 256;
    config.mrrs = 512;
    config.device_id[0] = 0x5200;
    std::memset(config.route, 0xFF, sizeof config.route);  // no other switch
    config.modules[0].vfs = 8;

    std::vector<fab_node_port> ports(2);
    for (auto &port : ports) {
        port.gen = 5;
        port.cfg_lanes = port.lanes = 16;
        port.peer_switch = port.peer_port = 0xFF;
        port.phases = 256;
        port.capacity = 50e9;  // B/s of payload, each way
    }
    ports[0].port = module_port;
    ports[0].kind = FAB_PORT_MODULE;
    ports[1].port = host_port;
    ports[1].kind = FAB_PORT_HOST;
    return fab::Node(config, ports);
}

// Samples go to another thread in place: claim, fill, publish; peek, use, release. Each side is an
// object of its own, so neither thread can touch the other's.
double sum_through(const std::string &path, double bytes_per_s) {
    auto producer = Samples::Producer::create(path, 4096);
    auto consumer = Samples::Consumer::open(path);
    std::thread writer([&producer, bytes_per_s] {
        for (std::uint64_t next = 0; next < samples;) {
            auto room = producer.claim(std::min<std::uint64_t>(256, samples - next));
            for (Sample &sample : room) sample = {next++, bytes_per_s};
            if (room.empty()) std::this_thread::yield();  // full: let the other side run
            producer.publish(room.size());
        }
    });
    double sum = 0;
    bool in_order = true;
    for (std::uint64_t next = 0; next < samples;) {
        auto run = consumer.peek(256);
        for (const Sample &sample : run) {
            in_order = in_order && sample.number == next++;
            sum += sample.bytes_per_s;
        }
        if (run.empty()) std::this_thread::yield();
        consumer.release(run.size());
    }
    writer.join();
    if (!in_order) throw std::runtime_error("samples came out of order");
    return sum / samples;
}

}  // namespace

int main(int argc, char **argv) try {
    if (argc != 2) {
        std::cerr << "usage: embed RING_FILE (on a tmpfs)\n";
        return 2;
    }
    fab::Node node = make_node();
    fab::Switch sw(node.bar(0));  // a switch owns its bar, a bar keeps its node
    auto info = sw.identify();
    std::cout << "device 0x" << std::hex << info.device_id << std::dec << ", " << sw.ports().size()
              << " ports\n";

    sw.bind(0, host_port, 0, fab::pdfid(0, function));
    sw.bar().offer(module_port, function, 60e9, 0);
    node.advance(1.0);
    double moved = static_cast<double>(sw.bar().cell(module_port, function).out.up_bytes);
    std::cout << "moved " << moved / 1e9 << " GB up in a second\n";

    std::cout << samples << " samples through the index ring, mean " << sum_through(argv[1], moved)
              << " B/s\n";
    try {
        sw.bar().read32(sw.bar().bytes());
    } catch (const fab::Error &error) {
        std::cout << "refused: " << error.what() << "\n";
    }
    return 0;
} catch (const std::exception &error) {
    std::cerr << "embed: " << error.what() << "\n";
    return 1;
}
