// SPDX-License-Identifier: Apache-2.0
#include "runtime/proc_files.h"

#include <fcntl.h>

#include <cerrno>
#include <vector>

#include "core/errors.h"
#include "core/strings.h"

namespace minibox::runtime {
namespace {

std::vector<std::string_view> Words(std::string_view text) {
  std::vector<std::string_view> words;
  size_t at = 0;
  while ((at = text.find_first_not_of(" \t\n", at)) != std::string_view::npos) {
    const size_t end = std::min(text.find_first_of(" \t\n", at), text.size());
    words.push_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

template <typename Line>
void ForEachLine(std::string_view text, const Line& line) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

}  // namespace

std::optional<ProcStat> ParseProcStat(std::string_view text) {
  // The name may hold anything, also a parenthesis.
  const size_t open = text.find('('), close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) {
    return std::nullopt;
  }
  const std::vector<std::string_view> fields = Words(text.substr(close + 1));
  // Field n of proc(5) is at n - 3.
  if (fields.size() < 22 || fields[0].size() != 1) return std::nullopt;
  const auto number = [&](size_t field) { return core::ParseInt64(fields[field - 3]).value_or(0); };
  ProcStat stat;
  stat.name = text.substr(open + 1, close - open - 1);
  stat.state = fields[0][0];
  stat.parent = static_cast<int>(number(4));
  stat.cpu_ticks = static_cast<uint64_t>(number(14) + number(15));
  stat.start_ticks = static_cast<uint64_t>(number(22));
  stat.resident_pages = static_cast<uint64_t>(std::max<int64_t>(number(24), 0));
  return stat;
}

std::optional<ProcStatus> ParseProcStatus(std::string_view text) {
  ProcStatus status;
  bool uid = false;
  ForEachLine(text, [&](std::string_view line) {
    const std::vector<std::string_view> words = Words(line);
    if (words.size() >= 3 && words[0] == "Uid:") {
      status.uid = static_cast<uint32_t>(core::ParseUint64(words[2]).value_or(0));
      uid = true;
    } else if (words.size() >= 2 && words[0] == "NSpid:") {
      status.container_pid = static_cast<int>(core::ParseInt64(words.back()).value_or(0));
    }
  });
  if (!uid) return std::nullopt;
  return status;
}

NetCounters ParseNetDev(std::string_view text) {
  NetCounters counters;
  ForEachLine(text, [&](std::string_view line) {
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || core::TrimSpace(line.substr(0, colon)) == "lo") return;
    const std::vector<std::string_view> fields = Words(line.substr(colon + 1));
    if (fields.size() < 9) return;
    counters.received += core::ParseUint64(fields[0]).value_or(0);
    counters.sent += core::ParseUint64(fields[8]).value_or(0);
  });
  return counters;
}

StatusOr<core::Fd> OpenProc(int pid) {
  const std::string path = core::StrCat("/proc/", pid);
  core::Fd dir(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir.valid()) return core::SysError("open", path);
  return dir;
}

}  // namespace minibox::runtime
