/* The emulated Resource Node inside a program. */
#ifndef FAB_NODE_HPP
#define FAB_NODE_HPP

#include <memory>
#include <string>
#include <vector>

#include "fab_error.hpp"
#include "fab_switch.hpp"

namespace fab {

/* Lives until the last of it and of its bars is gone. */
class Node {
   public:
    /* config.ports is taken from `ports`. shm: the node's name in /dev/shm, where other processes
     * find it as "shm:NAME/K"; empty = private memory. */
    Node(fab_node_config config, const std::vector<fab_node_port> &ports,
         const std::string &shm = "")
        : name_(shm.empty() ? "emulated" : "shm:" + shm) {
        fab_node *node = nullptr;
        config.ports = static_cast<std::uint32_t>(ports.size());
        const char *name = shm.empty() ? nullptr : shm.c_str();
        check(fab_node_create(&config, ports.data(), name, &node));
        node_.reset(node, fab_node_close);
    }
    Node(Node &&) noexcept = default;
    Node &operator=(Node &&) noexcept = default;

    /* Registers of switch k; may be used from several threads. */
    Bar bar(std::size_t k) const {
        fab_bar *bar = fab_node_bar(node_.get(), k);
        if (!bar) detail::raise(-ENOENT, "switch " + std::to_string(k) + " of node " + name_);
        return Bar(bar, name_ + "/" + std::to_string(k), node_);
    }
    /* Moves traffic for so much virtual time. -EBUSY while the real-time thread runs. */
    void advance(double seconds) { check(fab_node_advance(node_.get(), seconds)); }
    void set_step(double seconds) { check(fab_node_set_step(node_.get(), seconds)); }
    void set_traffic(int mode) { check(fab_node_set_mode(node_.get(), mode)); }
    void set_drop(bool drop) { check(fab_node_set_drop(node_.get(), drop)); }
    /* Real time: a thread moves traffic and serves what other processes write. */
    void start() { check(fab_node_start(node_.get())); }
    void stop() { check(fab_node_stop(node_.get())); }
    std::uint64_t time_ns() const noexcept { return fab_node_time_ns(node_.get()); }
    void fault(std::size_t k, int kind, std::uint8_t port = 0, std::uint32_t count = 1) {
        check(fab_node_fault(node_.get(), k, kind, port, count));
    }
    fab_node *get() const noexcept { return node_.get(); }

   private:
    void check(int rc) const { detail::check(rc, "node ", name_); }

    std::shared_ptr<fab_node> node_; /* shared with its bars only */
    std::string name_;
};

}  // namespace fab
#endif
