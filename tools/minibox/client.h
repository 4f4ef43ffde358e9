// SPDX-License-Identifier: Apache-2.0
// Talks to the daemon. libcurl is behind it and nowhere else.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "minibox/status.h"

namespace minibox::cli {

using Query = std::vector<std::pair<std::string, std::string>>;

struct Reply {
  int status = 0;
  std::string body{};  // of an error, and of a success without sink
  std::vector<std::pair<std::string, std::string>> headers{}, trailers{};  // names in lower case

  bool ok() const { return status == 200; }
  std::optional<std::string> Header(std::string_view name) const;
  std::optional<std::string> Trailer(std::string_view name) const;
};

struct Call {
  std::string method = "GET";
  std::string path{};
  Query query{};
  std::vector<std::pair<std::string, std::string>> headers{};
  std::string body{};                            // JSON
  std::optional<int> upload_fd{};                // sent instead of `body`, to its end
  std::function<bool(std::string_view)> sink{};  // takes the body of a 200; false ends the call
  std::stop_token stop{};                        // ends it within about a second: kCancelled
  // Until the head of the answer; nullopt: as long as it takes.
  std::optional<std::chrono::seconds> patience = std::chrono::seconds(60);
};

// A connection that has become a stream of frames (spec §4.4), non-blocking. One thread.
class StreamConnection {
 public:
  virtual ~StreamConnection() = default;
  virtual int fd() const = 0;  // for poll
  // What there is, at most `size` bytes: nullopt if there is nothing yet, 0 at its end.
  virtual StatusOr<std::optional<size_t>> Receive(char* buffer, size_t size) = 0;
  // As many bytes as there is room for.
  virtual StatusOr<size_t> Send(std::string_view bytes) = 0;
};

class Client {
 public:
  // "http://host[:port]", "https://…", "unix:///path"; one '/' at the end is dropped.
  static StatusOr<Client> ForHost(std::string_view url, std::string_view token);
  Client(Client&&) noexcept;
  ~Client();

  // Told one line per call, with its answer and time; before the first call. For --debug.
  void set_observer(std::function<void(const std::string& line)> observer);

  // An error if there is no answer or it broke off; whatever its status otherwise. Any thread,
  // several at once.
  StatusOr<Reply> Send(const Call& call);
  // A POST that asks for a stream. With one the reply's status is 101 and it has headers only.
  struct Upgraded {
    Reply reply{};
    std::unique_ptr<StreamConnection> stream{};
  };
  StatusOr<Upgraded> Upgrade(const Call& call);

 private:
  struct Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// "a=1&b=x%20y" from pairs.
std::string EncodeQuery(const Query& query);

}  // namespace minibox::cli
