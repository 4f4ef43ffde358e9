// SPDX-License-Identifier: Apache-2.0
#include "core/id.h"

#include <sys/random.h>

#include <cerrno>

#include "core/check.h"
#include "core/strings.h"

namespace minibox::core {

std::string RandomHex(int digits) {
  MBX_CHECK(digits >= 0);
  std::string bytes((static_cast<size_t>(digits) + 1) / 2, '\0');
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t n = getrandom(bytes.data() + done, bytes.size() - done, 0);
    MBX_CHECK(n > 0 || errno == EINTR);
    if (n > 0) done += static_cast<size_t>(n);
  }
  std::string hex = HexEncode(bytes);
  hex.resize(static_cast<size_t>(digits));
  return hex;
}

}  // namespace minibox::core
