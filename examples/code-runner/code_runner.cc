// SPDX-License-Identifier: Apache-2.0
// Runs snippets of code that nobody trusts: no network, no privileges, a read-only root, limits on
// time, memory, processes and output.
//
//   code_runner <data root> <image> [--count n] [--parallel n] <command> [<argument>…] <snippet
//
// The snippet is the command's stdin: code_runner /srv/boxes python python3 - <hello.py. With
// --count it runs n times, in as many threads as --parallel says, and MiniBox's share of the time
// is reported on stderr: from the request to the workload's start, and from its end to the result.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "minibox/minibox.h"

namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr size_t kMaxOutput = 64 << 10;
constexpr std::chrono::seconds kMaxTime{10};

struct Result {
  minibox::Status status;
  std::string output;
  bool cut = false;
  minibox::ExitStatus exit;
  Milliseconds start{0};  // until the workload runs
  Milliseconds total{0};
};

minibox::ContainerSpec Sandbox(const std::string& image, const std::vector<std::string>& command) {
  minibox::ContainerSpec spec;
  spec.image = image;
  spec.command = command;
  spec.network = "none";
  spec.user = "65534:65534";
  spec.open_stdin = true;
  spec.remove_on_exit = true;
  spec.timeout = kMaxTime;
  spec.resources.memory_bytes = int64_t{64} << 20;
  spec.resources.memory_swap_bytes = spec.resources.memory_bytes;
  spec.resources.pids = 32;
  spec.security.read_only_rootfs = true;
  spec.security.cap_drop = {"ALL"};
  spec.mounts = {{minibox::Mount::Kind::kTmpfs, "", "/tmp", "size=16m"}};
  return spec;
}

Result RunSnippet(minibox::Runtime& runtime, const minibox::ContainerSpec& spec,
                  const std::string& snippet) {
  Result result;
  const auto begin = Clock::now();
  auto process = runtime.StartForeground(spec);
  result.start = Clock::now() - begin;
  if (!process.ok()) {
    result.status = process.status();
    return result;
  }
  std::thread feeder([&] {
    // A snippet that does not read is its own affair.
    if (process->Write(snippet).ok()) (void)process->CloseStdin();
  });
  const auto exit = process->Wait([&](const minibox::OutputChunk& chunk) {
    const size_t left = kMaxOutput - result.output.size();
    result.output += chunk.bytes.substr(0, left);
    result.cut = chunk.bytes.size() > left;
    return result.cut ? minibox::Status(minibox::StatusCode::kCancelled, "too much output")
                      : minibox::Status();
  });
  if (!exit.ok()) (void)process->Signal(SIGKILL);  // or the feeder would wait for it
  feeder.join();
  result.total = Clock::now() - begin;
  if (exit.ok()) {
    result.exit = *exit;
  } else if (!result.cut) {
    result.status = exit.status();
  }
  return result;
}

void Report(std::vector<double> starts, std::vector<double> totals, double seconds) {
  std::sort(starts.begin(), starts.end());
  std::sort(totals.begin(), totals.end());
  const auto at = [](const std::vector<double>& all, double share) {
    return all[static_cast<size_t>(share * static_cast<double>(all.size() - 1))];
  };
  std::fprintf(stderr,
               "%zu runs, %.0f a second; start median %.2f ms, 95th %.2f ms; whole run median "
               "%.2f ms\n",
               starts.size(), static_cast<double>(starts.size()) / seconds, at(starts, 0.5),
               at(starts, 0.95), at(totals, 0.5));
}

int Fail(const minibox::Status& status) {
  std::fprintf(stderr, "code_runner: %s\n", status.ToString().c_str());
  return minibox::StartFailureExitCode(status);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  int count = 1, parallel = 1;
  for (auto it = arguments.begin() + std::min<long>(2, argc - 1);
       it + 1 < arguments.end() && it->starts_with("--");) {
    (*it == "--count" ? count : parallel) = std::atoi(it[1].c_str());
    it = arguments.erase(it, it + 2);
  }
  if (arguments.size() < 3 || count < 1 || parallel < 1) {
    std::fprintf(stderr,
                 "usage: code_runner <data root> <image> [--count n] [--parallel n] <command>…\n");
    return 2;
  }
  const std::string snippet((std::istreambuf_iterator<char>(std::cin)), {});

  auto store = minibox::Store::Open({.root = arguments[0]});
  if (!store.ok()) return Fail(store.status());
  auto network = minibox::Network::Open({.state_dir = store->root() / "networks"});
  if (!network.ok()) return Fail(network.status());
  auto runtime = minibox::Runtime::Open(*store, *network);
  if (!runtime.ok()) return Fail(runtime.status());
  const minibox::ContainerSpec spec =
      Sandbox(arguments[1], {arguments.begin() + 2, arguments.end()});

  std::mutex mutex;
  std::vector<double> starts, totals;
  Result last;
  std::atomic<int> next = 0;
  const auto begin = Clock::now();
  std::vector<std::thread> threads;
  for (int i = 0; i < std::min(parallel, count); ++i) {
    threads.emplace_back([&] {
      while (next++ < count) {
        Result result = RunSnippet(*runtime, spec, snippet);
        const std::lock_guard lock(mutex);
        starts.push_back(result.start.count());
        totals.push_back(result.total.count());
        if (last.status.ok()) last = std::move(result);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> seconds = Clock::now() - begin;

  if (!last.status.ok()) return Fail(last.status);
  std::fwrite(last.output.data(), 1, last.output.size(), stdout);
  if (count > 1) Report(std::move(starts), std::move(totals), seconds.count());
  if (last.cut) {
    std::fputs("\n[more output than is permitted]\n", stdout);
    return 137;
  }
  if (!last.exit.error.empty()) std::fprintf(stderr, "[%s]\n", last.exit.error.c_str());
  return last.exit.code;
}
