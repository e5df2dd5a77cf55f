/* A run of elements that belongs to someone else, as C++17 lacks it. */
#ifndef FAB_SPAN_HPP
#define FAB_SPAN_HPP

#include <cstddef>

namespace fab {

template <class T>
class Span {
   public:
    constexpr Span() noexcept = default;
    constexpr Span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}

    constexpr T *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr bool empty() const noexcept { return size_ == 0; }
    constexpr T *begin() const noexcept { return data_; }
    constexpr T *end() const noexcept { return data_ + size_; }
    constexpr T &operator[](std::size_t i) const noexcept { return data_[i]; }

   private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace fab
#endif
