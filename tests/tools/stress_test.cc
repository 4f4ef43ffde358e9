// SPDX-License-Identifier: Apache-2.0
// Several clients start, stop, kill, restart, pause containers and run commands in them while the
// daemon is killed again and again: what is left at the end is what the answers have promised.
//
//   MINIBOX_STRESS_SECONDS     how long (120)
//   MINIBOX_STRESS_CONTAINERS  how many (200)
//   MINIBOX_STRESS_SEED        of the choices (1)
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include "tools/daemon.h"
#include "tools/raw_client.h"

namespace minibox::testing {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr int kClients = 8;
constexpr seconds kDaemonLife{5};

int Setting(const char* name, int otherwise) {
  const char* value = getenv(name);
  return value == nullptr ? otherwise : atoi(value);
}

// The daemon, which the killer replaces while clients talk to it.
class Service {
 public:
  explicit Service(const Scratch& scratch) : scratch_(scratch) { Start(); }

  // nullopt if the daemon went away before it had answered.
  std::optional<RawResponse> Ask(const std::string& method, const std::string& target,
                                 const std::string& body = "") {
    const RawResponse response = RawClient::Ask(
        port_, method + " " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" +
                   "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    if (response.status == 0 || !response.complete) return std::nullopt;
    return response;
  }
  // Until a daemon answers.
  RawResponse Insist(const std::string& method, const std::string& target) {
    while (true) {
      int generation;
      {
        const std::scoped_lock lock(mutex_);
        generation = generation_;
      }
      if (auto response = Ask(method, target)) return *response;
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return generation_ != generation; });
    }
  }
  void Replace() {
    EXPECT_EQ(daemon_->End(SIGKILL), 128 + SIGKILL);
    Start();
  }
  Daemon& daemon() { return *daemon_; }

 private:
  void Start() {
    auto daemon = std::make_unique<Daemon>(scratch_);
    const std::scoped_lock lock(mutex_);
    daemon_ = std::move(daemon);
    port_ = daemon_->port();
    ++generation_;
    changed_.notify_all();
  }

  const Scratch& scratch_;
  std::unique_ptr<Daemon> daemon_;
  std::atomic<int> port_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  int generation_ = 0;
};

std::string JsonField(const std::string& json, const std::string& key) {
  const size_t at = json.find("\"" + key + "\":");
  if (at == std::string::npos) return "";
  const size_t begin = at + key.size() + 3;
  std::string value = json.substr(begin, json.find_first_of(",}", begin) - begin);
  std::erase(value, '"');
  return value;
}

// What is known of one container. One client at a time uses it.
struct Model {
  std::string id;
  std::string state = "created";
  int starts = 0, doubtful = 0;  // that were answered; that may have happened
};

class Client {
 public:
  Client(Service& service, std::vector<Model*> mine, unsigned seed)
      : service_(service), mine_(std::move(mine)), random_(seed) {}

  void RunUntil(steady_clock::time_point end) {
    while (steady_clock::now() < end && !::testing::Test::HasFailure()) Step();
  }

 private:
  struct Operation {
    const char* path;
    const char* query;
    // The state before -> the state after, "" if it is refused.
    std::string (*after)(const std::string& before);
    bool starts;
  };

  static bool Live(const std::string& state) { return state == "running" || state == "paused"; }

  void Step() {
    static const Operation kOperations[] = {
        {"start", "", [](const std::string& b) { return std::string(Live(b) ? "" : "running"); },
         true},
        {"stop", "&t=1", [](const std::string& b) { return Live(b) ? std::string("exited") : b; },
         false},
        {"kill", "", [](const std::string& b) { return std::string(Live(b) ? "exited" : ""); },
         false},
        {"restart", "&t=0", [](const std::string&) { return std::string("running"); }, true},
        {"pause", "",
         [](const std::string& b) { return std::string(b == "running" ? "paused" : ""); }, false},
        {"unpause", "",
         [](const std::string& b) { return std::string(b == "paused" ? "running" : ""); }, false},
    };
    Model& model = *mine_[random_() % mine_.size()];
    const size_t choice = random_() % (std::size(kOperations) + 1);
    if (choice == std::size(kOperations)) return Exec(model);
    const Operation& operation = kOperations[choice];
    const auto response = service_.Ask(
        "POST", std::string("/containers/") + operation.path + "?id=" + model.id + operation.query);
    const std::string expected = operation.after(model.state);
    const std::string what = std::string(operation.path) + " of " + model.id + ", " + model.state;
    if (!response) return Resolve(model, operation, expected, what);
    if (expected.empty()) {
      EXPECT_EQ(response->status, 409) << what << ": " << response->body;
      return;
    }
    EXPECT_EQ(response->status, 200) << what << ": " << response->body;
    if (operation.starts) ++model.starts;
    model.state = expected;
  }

  // A command in it: says what it was told, and leaves it as it is.
  void Exec(const Model& model) {
    const std::string word = std::to_string(random_());
    const auto response = service_.Ask(
        "POST", "/containers/exec",
        R"({"id":")" + model.id + R"(","command":["sh","-c","echo )" + word + R"(; exit 3"]})");
    if (!response) return;  // the command has gone with the daemon
    const std::string what = "exec in " + model.id + ", " + model.state;
    if (model.state != "running") {
      EXPECT_EQ(response->status, 409) << what << ": " << response->body;
      return;
    }
    EXPECT_EQ(response->status, 200) << what << ": " << response->body;
    EXPECT_EQ(response->body, word + "\n") << what;
    const auto code = response->trailers.find("x-minibox-exit-code");
    EXPECT_TRUE(code != response->trailers.end() && code->second == "3") << what;
  }

  // The daemon died meanwhile: the operation has happened, or it has not. A restart may also have
  // got half way.
  void Resolve(Model& model, const Operation& operation, const std::string& expected,
               const std::string& what) {
    const std::string all = service_.Insist("GET", "/containers").body;
    const size_t at = all.find("\"" + model.id + "\":{");
    ASSERT_NE(at, std::string::npos) << what;
    const std::string state = JsonField(all.substr(at), "status");
    const std::string_view path = operation.path;
    if (operation.starts) ++model.doubtful;
    if (path == "stop" || path == "kill" || path == "restart") {
      // A signal may be on its way: only another end makes sure.
      const RawResponse killed = service_.Insist("POST", "/containers/kill?id=" + model.id);
      EXPECT_TRUE(killed.status == 200 || killed.status == 409) << what << killed.body;
      model.state = state == "created" ? "created" : "exited";
      return;
    }
    EXPECT_TRUE(state == model.state || state == expected) << what << " became " << state;
    model.state = state;
  }

  Service& service_;
  const std::vector<Model*> mine_;
  std::mt19937 random_;
};

TEST(Stress, WhatWasAnsweredHolds) {
  MBX_REQUIRE_ROOT();
  EnterOwnNetwork();
  const Scratch scratch;
  Service service(scratch);
  WriteBusyboxContext(scratch, "shell", "BASE base.tar.gz\n");
  const Finished built = service.daemon().Cli({"build", "-t", "shell", scratch / "shell"});
  ASSERT_EQ(built.status, 0) << built.out << built.err;

  const int count = std::max(kClients, Setting("MINIBOX_STRESS_CONTAINERS", 200));
  std::vector<Model> models(static_cast<size_t>(count));
  for (Model& model : models) {
    const auto created =
        service.Ask("POST", "/containers/create",
                    R"({"image":"shell","network":"none","command":["sh","-c",)"
                    R"("echo started; trap 'exit 7' TERM; while :; do sleep 1000 & wait; done"]})");
    ASSERT_TRUE(created && created->status == 200);
    model.id = created->body.substr(0, 8);
  }

  const auto end = steady_clock::now() + seconds(Setting("MINIBOX_STRESS_SECONDS", 120));
  const auto seed = static_cast<unsigned>(Setting("MINIBOX_STRESS_SEED", 1));
  std::vector<std::thread> clients;
  for (unsigned i = 0; i < kClients; ++i) {
    std::vector<Model*> mine;
    for (size_t m = i; m < models.size(); m += kClients) mine.push_back(&models[m]);
    clients.emplace_back([&service, mine, seed, i, end] {
      Client(service, mine, seed * kClients + i).RunUntil(end);
    });
  }
  for (auto next = steady_clock::now() + kDaemonLife; next < end; next += kDaemonLife) {
    std::this_thread::sleep_until(next);
    service.Replace();
  }
  for (std::thread& client : clients) client.join();
  service.Replace();

  const std::string all = service.Insist("GET", "/containers").body;
  for (const Model& model : models) {
    const size_t at = all.find("\"" + model.id + "\":{");
    ASSERT_NE(at, std::string::npos) << model.id;
    const std::string info = all.substr(at);
    EXPECT_EQ(JsonField(info, "status"), model.state) << model.id;
    const std::string code = JsonField(info, "exit_code");
    if (model.state == "exited") {
      EXPECT_TRUE(code == "7" || code == "137" || code == "143")
          << model.id << " ended with " << code;
    }
    const std::string log = service.Insist("GET", "/containers/logs?id=" + model.id).body;
    int starts = 0;
    for (size_t line = 0; (line = log.find("started\n", line)) != std::string::npos; ++line) {
      ++starts;
    }
    // One that was killed in its first moment has said nothing.
    EXPECT_LE(starts, model.starts + model.doubtful) << model.id;
  }
  for (const Model& model : models) {
    EXPECT_EQ(service.Ask("POST", "/containers/remove?force=1&id=" + model.id)->status, 200);
  }
}

}  // namespace
}  // namespace minibox::testing
