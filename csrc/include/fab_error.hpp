/* -errno as C++ says it: an error category with this library's meanings, and the exceptions. */
#ifndef FAB_ERROR_HPP
#define FAB_ERROR_HPP

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <string>
#include <system_error>

namespace fab {
namespace detail {

class Category final : public std::error_category {
   public:
    const char *name() const noexcept override { return "fabcore"; }

    /* What an errno means here, and the cure, where that is more than its own text. */
    std::string message(int code) const override {
        switch (code) {
            case ENODEV:
                return "the device is gone (its registers read all ones, or its owner has died)";
            case EPROTO:
                return "another layout or size: made by another build or for other records; restart"
                       " its owner with this one";
            case EOWNERDEAD:
                return "the process that made it is dead; start it again";
            case EBUSY:
                return "a live process holds it; stop that one or choose another name";
            case EEXIST:
                return "something else is there; choose another name or remove it";
            case ENODATA:
                return "the file is truncated";
            case ERANGE:
                return "the offset lies outside";
            case ETIMEDOUT:
                return "it never completed";
            case ESTALE:
                return "another process has taken it over; own it again";
            case ENOTRECOVERABLE:
                return "it failed, and putting back what it had changed failed too; look at the"
                       " device";
            case ECONNRESET:
                return "the server died while serving this; find out whether it was done";
            default:
                return std::generic_category().message(code);
        }
    }

    /* So that e.code() == std::errc::device_or_resource_busy holds for -EBUSY. */
    std::error_condition default_error_condition(int code) const noexcept override {
        return std::error_condition(code, std::generic_category());
    }
};

}  // namespace detail

inline const std::error_category &category() noexcept {
    static const detail::Category instance;
    return instance;
}

/* Thrown by whatever is not on a hot path. what(): the culprit, then the reason and the cure;
 * code(): the errno. */
class Error : public std::system_error {
   public:
    Error(std::int64_t rc, const std::string &culprit)
        : std::system_error(static_cast<int>(-rc), category(), culprit) {}
};

/* A firmware command that the switch refused (-EREMOTEIO): its 16-bit id and the return code. */
class FirmwareError : public Error {
   public:
    FirmwareError(const std::string &culprit, std::uint32_t command, std::uint32_t returned)
        : Error(-EREMOTEIO, culprit + text(command, returned)), id(command), firmware(returned) {}

    const std::uint32_t id;
    const std::uint32_t firmware;

   private:
    static std::string text(std::uint32_t command, std::uint32_t returned) {
        char line[64];
        std::snprintf(line, sizeof line, ": MRPC 0x%x failed with code 0x%x", command, returned);
        return line;
    }
};

namespace detail {

/* Out of line, so that a call that succeeds is a compare and a jump not taken. */
[[noreturn, gnu::cold, gnu::noinline]] inline void raise(std::int64_t rc,
                                                         const std::string &culprit) {
    throw Error(rc, culprit);
}

template <class Count>
inline Count check(Count rc, const char *noun, const std::string &name) {
    if (rc < 0) raise(rc, noun + name);
    return rc;
}

}  // namespace detail
}  // namespace fab
#endif
