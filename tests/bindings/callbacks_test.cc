// SPDX-License-Identifier: Apache-2.0
// Callbacks that end the call, throw, block or call back; cancellation; many threads.
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "bindings/c_fixture.h"

namespace minibox::testing {
namespace {

using CCallbacks = CTest;

// Progress comes more than once.
constexpr size_t kLarge = 9 << 20;

minibox_import_options Watched(minibox_data_fn progress, void* user) {
  minibox_import_options options{};
  options.struct_size = sizeof options;
  options.progress = progress;
  options.user = user;
  return options;
}

TEST_F(CCallbacks, NotZeroEndsTheCallAndIsNotAskedAgain) {
  int calls = 0;
  const auto options =
      Watched([](void* user, const char*, size_t) { return ++*static_cast<int*>(user); }, &calls);
  const int fd = Tar(kLarge);
  EXPECT_EQ(Taken(minibox_image_import(store_, fd, "a", &options, nullptr, nullptr)),
            "1 callback_stopped ");
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(Taken(minibox_image_get(store_, "a", nullptr)), "5 image_not_found ");
  close(fd);
}

TEST_F(CCallbacks, AnExceptionEndsTheCall) {
  const auto options =
      Watched([](void*, const char*, size_t) -> int { throw std::runtime_error("mine"); }, nullptr);
  const int fd = Tar(kLarge);
  minibox_error* const error = minibox_image_import(store_, fd, "a", &options, nullptr, nullptr);
  EXPECT_STREQ(minibox_error_reason(error), "callback_stopped");
  EXPECT_STREQ(minibox_error_message(error), "a callback threw an exception");
  minibox_error_free(error);
  close(fd);
}

TEST_F(CCallbacks, TextEndsWithNulAndMayBeReadAsJson) {
  std::vector<std::string> lines;
  const auto options = Watched(
      [](void* user, const char* text, size_t size) {
        static_cast<std::vector<std::string>*>(user)->emplace_back(text);
        return text[size] == '\0' && std::string(text).size() == size ? 0 : 1;
      },
      &lines);
  const int fd = Tar(100);
  EXPECT_EQ(Taken(minibox_image_import(store_, fd, "a", &options, nullptr, nullptr)), "ok");
  ASSERT_FALSE(lines.empty());
  EXPECT_TRUE(lines.back().starts_with("{\"type\":\"progress\"")) << lines.back();
  close(fd);
}

TEST_F(CCallbacks, ACallbackMayBlockAndCallTheLibrary) {
  struct Shared {
    minibox_store* store;
    std::mutex mutex;
    std::condition_variable changed;
    bool blocked = false, released = false;
  } shared{.store = store_};
  const auto options = Watched(
      [](void* user, const char*, size_t) {
        auto& it = *static_cast<Shared*>(user);
        std::unique_lock lock(it.mutex);
        it.blocked = true;
        it.changed.notify_all();
        it.changed.wait(lock, [&] { return it.released; });
        return Taken(minibox_volume_create(it.store, "inside", nullptr, nullptr)) == "ok" ? 0 : 1;
      },
      &shared);
  const int fd = Tar(100);
  std::string outcome;
  std::thread importing(
      [&] { outcome = Taken(minibox_image_import(store_, fd, "a", &options, nullptr, nullptr)); });
  {
    std::unique_lock lock(shared.mutex);
    shared.changed.wait(lock, [&] { return shared.blocked; });
    // Others go on meanwhile.
    EXPECT_EQ(Taken(minibox_volume_create(store_, "outside", nullptr, nullptr)), "ok");
    EXPECT_EQ(Taken(minibox_image_list(store_, nullptr)), "ok");
    shared.released = true;
    shared.changed.notify_all();
  }
  importing.join();
  EXPECT_EQ(outcome, "ok");
  EXPECT_EQ(Taken(minibox_volume_inspect(store_, "inside", nullptr)), "ok");
  close(fd);
}

TEST_F(CCallbacks, CancellationEndsACallAndItsHandleMayBeFreedMeanwhile) {
  minibox_cancel* cancel = minibox_cancel_new();
  const auto options = Watched(
      [](void* user, const char*, size_t) {
        auto** const it = static_cast<minibox_cancel**>(user);
        minibox_cancel_request(*it);
        minibox_cancel_free(*it);
        *it = nullptr;
        return 0;
      },
      &cancel);
  const int fd = Tar(kLarge);
  EXPECT_EQ(Taken(minibox_image_import(store_, fd, "a", &options, cancel, nullptr)), "1  ");
  close(fd);
}

TEST_F(CCallbacks, ACallThatIsCancelledBeforeDoesNothing) {
  minibox_cancel* const cancel = minibox_cancel_new();
  EXPECT_EQ(minibox_cancel_requested(cancel), 0);
  minibox_cancel_request(cancel);
  minibox_cancel_request(cancel);
  EXPECT_EQ(minibox_cancel_requested(cancel), 1);
  const int fd = Tar(kLarge);
  EXPECT_EQ(Taken(minibox_image_import(store_, fd, "a", nullptr, cancel, nullptr)), "1  ");
  close(fd);
  minibox_cancel_free(cancel);
}

TEST_F(CCallbacks, ManyThreadsShareAHandle) {
  Import("base");
  std::atomic<int> failures = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&, i] {
      const std::string mine = "copy-" + std::to_string(i);
      for (int round = 0; round < 5; ++round) {
        char* json = nullptr;
        if (Taken(minibox_image_tag(store_, "base", mine.c_str())) != "ok" ||
            Taken(minibox_image_get(store_, mine.c_str(), &json)) != "ok" ||
            Taken(minibox_image_remove(store_, mine.c_str(), 1, nullptr)) != "ok") {
          ++failures;
        }
        minibox_string_free(json);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
}

TEST_F(CCallbacks, TheLogGoesWhereItIsWantedAndNoFurther) {
  std::vector<std::string> lines;
  EXPECT_EQ(
      Taken(minibox_set_log(
          [](void* user, int, const char* module, const char* message) {
            static_cast<std::vector<std::string>*>(user)->push_back(std::string(module) + message);
          },
          &lines)),
      "ok");
  EXPECT_EQ(Taken(minibox_set_log(nullptr, nullptr)), "ok");
  Import("quiet");
  EXPECT_TRUE(lines.empty());
}

}  // namespace
}  // namespace minibox::testing
