// SPDX-License-Identifier: Apache-2.0
// Names of signals, of core/strings.h.
#include <csignal>
#include <utility>

#include "core/strings.h"

namespace minibox::core {
namespace {

constexpr std::pair<std::string_view, int> kSignals[] = {
    {"HUP", SIGHUP},   {"INT", SIGINT},       {"QUIT", SIGQUIT}, {"ILL", SIGILL},
    {"TRAP", SIGTRAP}, {"ABRT", SIGABRT},     {"BUS", SIGBUS},   {"FPE", SIGFPE},
    {"KILL", SIGKILL}, {"USR1", SIGUSR1},     {"SEGV", SIGSEGV}, {"USR2", SIGUSR2},
    {"PIPE", SIGPIPE}, {"ALRM", SIGALRM},     {"TERM", SIGTERM}, {"STKFLT", SIGSTKFLT},
    {"CHLD", SIGCHLD}, {"CONT", SIGCONT},     {"STOP", SIGSTOP}, {"TSTP", SIGTSTP},
    {"TTIN", SIGTTIN}, {"TTOU", SIGTTOU},     {"URG", SIGURG},   {"XCPU", SIGXCPU},
    {"XFSZ", SIGXFSZ}, {"VTALRM", SIGVTALRM}, {"PROF", SIGPROF}, {"WINCH", SIGWINCH},
    {"IO", SIGIO},     {"PWR", SIGPWR},       {"SYS", SIGSYS},   {"IOT", SIGABRT},
    {"CLD", SIGCHLD},  {"POLL", SIGIO}};

// The C libraries' number, whatever this process's threading library keeps for itself.
constexpr int kRtMin = 34, kRtMax = 64;

}  // namespace

std::optional<int> ParseSignal(std::string_view text) {
  if (!text.empty() && text[0] >= '0' && text[0] <= '9') {
    const auto number = ParseUint64(text);
    if (!number || *number < 1 || *number > kRtMax) return std::nullopt;
    return static_cast<int>(*number);
  }
  if (text.size() > 3 && EqualsIgnoreCase(text.substr(0, 3), "SIG")) text.remove_prefix(3);
  for (const auto& [name, number] : kSignals) {
    if (EqualsIgnoreCase(text, name)) return number;
  }
  const auto real_time = [&](std::string_view name, char sign, int base) -> std::optional<int> {
    if (!EqualsIgnoreCase(text.substr(0, name.size()), name)) return std::nullopt;
    const std::string_view rest = text.substr(name.size());
    if (rest.empty()) return base;
    const auto offset = rest[0] == sign ? ParseUint64(rest.substr(1)) : std::nullopt;
    if (!offset || *offset > static_cast<uint64_t>(kRtMax - kRtMin)) return std::nullopt;
    return sign == '+' ? base + static_cast<int>(*offset) : base - static_cast<int>(*offset);
  };
  if (const auto number = real_time("RTMIN", '+', kRtMin)) return number;
  return real_time("RTMAX", '-', kRtMax);
}

std::string SignalName(int signal) {
  for (const auto& [name, number] : kSignals) {
    if (number == signal) return std::string(name);
  }
  if (signal == kRtMin) return "RTMIN";
  if (signal > kRtMin && signal <= kRtMax) return StrCat("RTMIN+", signal - kRtMin);
  return StrCat(signal);
}

}  // namespace minibox::core
