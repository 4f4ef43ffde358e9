// SPDX-License-Identifier: Apache-2.0
// A string of bounded length without allocation. What does not fit is cut off.
#pragma once

#include <stdint.h>
#include <string.h>

namespace minibox::init {

template <uint32_t kCapacity>
class Text {
 public:
  Text() { data_[0] = '\0'; }
  const char* c_str() const { return data_; }
  uint32_t size() const { return size_; }
  bool cut() const { return cut_; }

  Text& Append(const char* text, size_t size) {
    if (size > kCapacity - 1 - size_) {
      size = kCapacity - 1 - size_;
      cut_ = true;
    }
    memcpy(data_ + size_, text, size);
    size_ += static_cast<uint32_t>(size);
    data_[size_] = '\0';
    return *this;
  }
  Text& operator<<(const char* text) { return Append(text, strlen(text)); }
  Text& operator<<(char c) { return Append(&c, 1); }
  Text& operator<<(uint64_t value) { return Digits(value, 1); }
  Text& operator<<(uint32_t value) { return Digits(value, 1); }
  Text& operator<<(int64_t value) {
    if (value < 0) Append("-", 1);
    return Digits(value < 0 ? -static_cast<uint64_t>(value) : static_cast<uint64_t>(value), 1);
  }
  Text& operator<<(int32_t value) { return *this << static_cast<int64_t>(value); }
  // At least `width` digits, with zeros in front.
  Text& Digits(uint64_t value, int width) {
    char digits[20];
    int count = 0;
    while (value > 0 || count < width) {
      digits[sizeof digits - 1 - count++] = static_cast<char>('0' + value % 10);
      value /= 10;
    }
    return Append(digits + sizeof digits - count, static_cast<size_t>(count));
  }

 private:
  char data_[kCapacity];
  uint32_t size_ = 0;
  bool cut_ = false;
};

}  // namespace minibox::init
