/* The request queue (fab_request.h): many clients ask one server. */
#ifndef FAB_REQUEST_HPP
#define FAB_REQUEST_HPP

#include <chrono>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "fab_error.hpp"
#include "fab_request.h"
#include "fab_span.hpp"

namespace fab {
namespace detail {

struct CloseRequest {
    void operator()(fab_request_queue *queue) const noexcept { fab_request_close(queue); }
};
using RequestHandle = std::unique_ptr<fab_request_queue, CloseRequest>;

inline std::uint64_t timeout_ns(std::chrono::nanoseconds timeout) noexcept {
    return timeout.count() < 0 ? 0 : static_cast<std::uint64_t>(timeout.count());
}

}  // namespace detail

/* May be used by several threads. */
class RequestClient {
   public:
    static RequestClient open(const std::string &path) {
        fab_request_queue *queue = nullptr;
        detail::check(fab_request_open(path.c_str(), &queue), "request queue ", path);
        return RequestClient(queue, path);
    }

    /* The reply's length, or -errno (fab_request_call): the server's own, -EMSGSIZE, -ETIMEDOUT,
     * -EOWNERDEAD, -ECONNRESET. */
    std::int64_t call(const void *request, std::size_t bytes, void *reply, std::size_t max,
                      std::chrono::nanoseconds timeout) noexcept {
        return fab_request_call(queue_.get(), request, bytes, reply, max,
                                detail::timeout_ns(timeout));
    }
    /* A request and a reply of fixed size; Error, with -EBADMSG for a reply of another size. */
    template <class Reply, class Request>
    Reply call(const Request &request, std::chrono::nanoseconds timeout) {
        static_assert(std::is_trivially_copyable_v<Request> && std::is_trivially_copyable_v<Reply>,
                      "both travel as bytes");
        Reply reply{};
        std::int64_t got = call(&request, sizeof request, &reply, sizeof reply, timeout);
        detail::check(got, "request queue ", path_);
        if (static_cast<std::size_t>(got) != sizeof reply)
            detail::raise(-EBADMSG, "request queue " + path_);
        return reply;
    }
    fab_request_queue *get() const noexcept { return queue_.get(); }

   private:
    RequestClient(fab_request_queue *queue, std::string path)
        : queue_(queue), path_(std::move(path)) {}

    detail::RequestHandle queue_;
    std::string path_;
};

/* One thread at a time. */
class RequestServer {
   public:
    /* slots: a power of two; the longest request and reply in bytes. */
    static RequestServer create(const std::string &path, std::uint64_t slots,
                                std::size_t request_bytes, std::size_t reply_bytes) {
        fab_request_queue *queue = nullptr;
        int rc = fab_request_create(path.c_str(), slots, request_bytes, reply_bytes, &queue);
        detail::check(rc, "request queue ", path);
        return RequestServer(queue, path, request_bytes, reply_bytes);
    }

    /* Waits for one request and answers it: false when none came in time. The handler is called as
     * `std::int64_t handler(Span<const unsigned char> request, Span<unsigned char> reply,
     * std::uint64_t pid)`, pid the client's, and returns the reply's length or -errno for the
     * client. If it throws, or returns more than there is room for, the client gets -EIO
     * (-EMSGSIZE) and the exception goes on. */
    template <class Handler>
    bool serve(Handler &&handler, std::chrono::nanoseconds timeout) {
        if (fab_request_wait(queue_.get(), detail::timeout_ns(timeout)) <= 0) return false;
        std::uint64_t ticket = 0, pid = 0;
        std::int64_t got = fab_request_take(queue_.get(), request_.data(), &ticket, &pid);
        if (got < 0) return false; /* withdrawn meanwhile */
        std::int64_t bytes = -EIO;
        try {
            bytes =
                handler(Span<const unsigned char>(request_.data(), static_cast<std::size_t>(got)),
                        Span<unsigned char>(reply_.data(), reply_.size()), pid);
        } catch (...) {
            fab_request_reply(queue_.get(), ticket, nullptr, -EIO);
            throw;
        }
        /* -EPIPE, the client has left, is nobody's fault */
        if (fab_request_reply(queue_.get(), ticket, reply_.data(), bytes) == -EMSGSIZE) {
            fab_request_reply(queue_.get(), ticket, nullptr, -EMSGSIZE);
            detail::raise(-EMSGSIZE, "reply of request queue " + path_);
        }
        return true;
    }
    fab_request_queue *get() const noexcept { return queue_.get(); }

   private:
    RequestServer(fab_request_queue *queue, std::string path, std::size_t request_bytes,
                  std::size_t reply_bytes)
        : queue_(queue), path_(std::move(path)), request_(request_bytes), reply_(reply_bytes) {}

    detail::RequestHandle queue_;
    std::string path_;
    std::vector<unsigned char> request_, reply_;
};

}  // namespace fab
#endif
