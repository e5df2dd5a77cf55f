// A question and its answer between two processes, 64 bytes each way: the request queue beside Unix
// sockets.
//
//   request ROUNDS IDLE_NS    IDLE_NS: the client is idle for that long before each question, so
//                             that the server has gone to sleep; 0 = one after the other
#include <fabcore.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "measure.h"

namespace {

struct Message {
    uint64_t word[8];
};

uint64_t answer(const Message &m) {
    return m.word[0] * 3 + m.word[7];
}

// What a way of asking has to do: serve() never returns and runs in a process of its own.
struct Way {
    virtual ~Way() = default;
    virtual const char *name() const = 0;
    virtual void serve() = 0;
    virtual void connect() = 0;
    virtual void ask(const Message &question, Message &reply) = 0;
};

struct Queue : Way {
    std::string path = "/dev/shm/fab-bench-request-" + std::to_string(getpid());
    fab_request_queue *queue = nullptr;

    const char *name() const override { return "request queue"; }
    void serve() override {
        if (fab_request_create(path.c_str(), 8, sizeof(Message), sizeof(Message), &queue))
            fail("fab_request_create");
        for (;;) {
            Message m, reply = {};
            uint64_t ticket, pid;
            fab_request_wait(queue, UINT64_MAX);
            if (fab_request_take(queue, &m, &ticket, &pid) < 0) continue;
            reply.word[0] = answer(m);
            fab_request_reply(queue, ticket, &reply, sizeof reply);
        }
    }
    void connect() override {
        while (fab_request_open(path.c_str(), &queue)) usleep(1000);
        unlink(path.c_str());
    }
    void ask(const Message &question, Message &reply) override {
        int64_t rc = fab_request_call(queue, &question, sizeof question, &reply, sizeof reply,
                                      UINT64_C(5000000000));
        if (rc != int64_t(sizeof reply)) fail("fab_request_call: " + std::to_string(rc));
    }
};

// spin: both sides ask the socket again and again instead of sleeping in it.
struct Socket : Way {
    int pair[2], flags;
    const char *called;

    Socket(const char *text, int type, bool spin) : flags(spin ? MSG_DONTWAIT : 0), called(text) {
        if (socketpair(AF_UNIX, type, 0, pair)) fail("socketpair");
    }
    const char *name() const override { return called; }
    void get(int fd, Message &m) const {
        size_t have = 0;
        while (have < sizeof m) {
            ssize_t k = recv(fd, reinterpret_cast<char *>(&m) + have, sizeof m - have, flags);
            if (k > 0)
                have += size_t(k);
            else if (k == 0 || (errno != EAGAIN && errno != EINTR))
                fail("recv");
        }
    }
    static void put(int fd, const Message &m) {
        if (send(fd, &m, sizeof m, 0) != ssize_t(sizeof m)) fail("send");
    }
    void serve() override {
        for (;;) {
            Message m, reply = {};
            get(pair[1], m);
            reply.word[0] = answer(m);
            put(pair[1], reply);
        }
    }
    void connect() override {}
    void ask(const Message &question, Message &reply) override {
        put(pair[0], question);
        get(pair[0], reply);
    }
};

struct Asked {
    std::unique_ptr<Way> way;
    pid_t server = 0;
    std::vector<double> clean, all;

    // The server sleeps (is stopped, where it would spin) while others are measured.
    void round(int questions, long idle_ns) {
        kill(server, SIGCONT);
        std::vector<double> found;
        long before = lost_cores();
        for (int i = 0; i < questions; i++) {
            Message m = {{uint64_t(i), 1, 2, 3, 4, 5, 6, 7}}, reply;
            if (idle_ns) {
                timespec t = {0, idle_ns};
                nanosleep(&t, nullptr);
            }
            double start = now_ns();
            way->ask(m, reply);
            found.push_back(now_ns() - start);
            if (reply.word[0] != answer(m)) fail(std::string(way->name()) + ": wrong reply");
        }
        if (lost_cores() == before) clean.insert(clean.end(), found.begin(), found.end());
        all.insert(all.end(), found.begin(), found.end());
        kill(server, SIGSTOP);
    }
};

void start(Asked &a) {
    a.server = fork();
    if (!a.server) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pin(PRODUCER_CPU);
        a.way->serve();
    }
    pin(CONSUMER_CPU);
    a.way->connect();
}

}  // namespace

int main(int argc, char **argv) {
    if (argc != 3) fail("see the head of request.cpp");
    int rounds = atoi(argv[1]);
    long idle = atol(argv[2]);
    std::vector<Asked> all;
    auto add = [&](Way *way) {
        all.emplace_back();
        all.back().way.reset(way);
    };
    add(new Queue);
    add(new Socket("Unix stream socket", SOCK_STREAM, false));
    add(new Socket("Unix seqpacket socket", SOCK_SEQPACKET, false));
    if (!idle) add(new Socket("Unix stream socket, both sides spin", SOCK_STREAM, true));
    for (Asked &a : all) {
        start(a);
        a.round(100, 0);
    }
    for (Asked &a : all) a.clean.clear(), a.all.clear();
    for (int k = 0; k < rounds; k++)
        for (Asked &a : all) a.round(idle ? 20 : 200, idle);
    for (Asked &a : all) {
        kill(a.server, SIGKILL);
        waitpid(a.server, nullptr, 0);
        std::vector<double> &v = a.clean.empty() ? a.all : a.clean;
        printf("{\"name\": \"%s\", \"p50\": %.0f, \"p99\": %.0f, \"clean\": %zu, \"all\": %zu}\n",
               a.way->name(), quantile(v, 0.5), quantile(v, 0.99), a.clean.size(), a.all.size());
    }
    return 0;
}
