// SPDX-License-Identifier: Apache-2.0
// One request and its answer: what a handler sees of HTTP.
//
//   void Ping(Exchange& exchange) { exchange.Send(200, kText, "Daemon is running"); }
//
//   auto stream = exchange.BeginStream(kText, {"X-Minibox-Status"});
//   stream.Write(line); …
//   stream.End({{"X-Minibox-Status", "ok"}});   // without it the client sees an incomplete answer
//
// Used by one thread at a time; gone() may be looked at by any.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "http.h"
#include "minibox/status.h"
#include "socket.h"

namespace miniboxd {

inline constexpr std::string_view kText = "text/plain; charset=utf-8";
inline constexpr std::string_view kJson = "application/json";
inline constexpr std::string_view kJsonLines = "application/x-ndjson";

// Bytes of the request's body, from the server.
class BodySource {
 public:
  virtual ~BodySource() = default;
  // Up to `size` bytes, at least one unless the body has ended. kCancelled: the client is gone;
  // kDeadlineExceeded: no progress; kInvalidArgument: broken chunks.
  virtual minibox::StatusOr<size_t> Read(char* buffer, size_t size) = 0;
};

class Exchange;

// A chunked (HTTP/1.0: close-delimited) answer. Destroyed without End(), it leaves the answer
// visibly incomplete and closes the connection.
class ResponseStream {
 public:
  ResponseStream(ResponseStream&& other) noexcept : exchange_(other.exchange_) {
    other.exchange_ = nullptr;
  }
  ResponseStream& operator=(ResponseStream&&) = delete;
  ~ResponseStream();

  // Blocks as long as the client is slow. kCancelled once it is gone.
  minibox::Status Write(std::string_view bytes);
  minibox::Status End(const std::vector<Header>& trailers = {});

 private:
  friend class Exchange;
  explicit ResponseStream(Exchange* exchange) : exchange_(exchange) {}
  Exchange* exchange_;
};

class Exchange {
 public:
  struct Connection {
    int socket = -1;             // borrowed
    PeerWatch* watch = nullptr;  // may be null: then gone() is never requested
    BodySource* body = nullptr;
    // Whether the server and the client want another request on it; asked when the answer
    // begins. Empty: no.
    std::function<bool()> may_keep_alive{};
    // Bytes behind the body that were taken from the socket already; asked once the body is read.
    std::function<std::string()> early_bytes{};
  };
  Exchange(RequestHead head, const Connection& connection);

  const RequestHead& head() const { return head_; }
  bool wants_json() const { return head_.Accepts(kJson); }
  bool is_head_request() const { return head_.method == "HEAD"; }

  // The whole body. "body_too_large" beyond `limit`, decided by Content-Length if there is one.
  minibox::StatusOr<std::string> ReadBody(size_t limit);
  // The body in pieces, whatever its size, until `sink` fails.
  minibox::Status ReadBody(const std::function<minibox::Status(std::string_view)>& sink);

  // Requested once the client is gone. The first call begins to watch.
  std::stop_token gone();

  void AddHeader(std::string_view name, std::string_view value);
  // "Warning: 199 minibox "<text>"".
  void AddWarning(std::string_view text);

  // A complete answer, with Content-Length.
  void Send(int status, std::string_view content_type, std::string_view body);
  // 200 and one text line, `line` without line end; {"id","message"} for clients that want JSON.
  void SendLine(std::string_view id, std::string_view line);
  // 200 and compact JSON with line end.
  void SendJson(std::string_view json);
  void SendError(const HttpError& error);
  void SendError(const minibox::Status& status) { SendError(ErrorOf(status)); }
  // The head of an answer whose body the handler sends with SendPart(), exactly `length` bytes.
  void SendHead(int status, std::string_view content_type, uint64_t length);
  minibox::Status SendPart(std::string_view bytes);
  // The answer cannot be completed: the connection closes instead.
  void Abandon() { keep_alive_ = false; }
  // 200 and a stream; `trailers` are announced. On a HEAD request nothing but the head is sent.
  ResponseStream BeginStream(std::string_view content_type,
                             const std::vector<std::string>& trailers = {});

  // From here on the connection is the handler's, until it returns; then it is closed. `head` is
  // sent as it stands. Gives the bytes that the client has sent behind the body and that are not in
  // the socket any more.
  struct TakenOver {
    int socket;  // non-blocking, borrowed
    std::string early;
  };
  minibox::StatusOr<TakenOver> TakeOver(int status, std::string_view head);
  // The head of a 101 that goes over to `protocol`, with the headers added so far and the usual.
  std::string SwitchingHead(std::string_view protocol) const;

  // For the server, once the handler has returned.
  bool answered() const { return answered_; }
  bool keep_alive() const { return keep_alive_; }
  bool body_consumed() const { return body_consumed_; }
  bool taken_over() const { return taken_over_; }
  int status() const { return status_; }

 private:
  friend class ResponseStream;
  std::string HeadText(int status, std::string_view content_type,
                       const std::vector<Header>& more) const;
  void DecideKeepAlive(bool delimited);
  minibox::StatusOr<size_t> ReadSome(char* buffer, size_t size);
  minibox::Status Transmit(std::string_view bytes);

  RequestHead head_;
  Connection connection_;
  BodyFraming framing_;
  std::vector<Header> headers_;
  std::stop_source gone_;
  std::optional<PeerWatch::Handle> watch_;
  PeerEnd peer_end_ = PeerEnd::kMayHaveSent;
  bool continued_ = false;  // 100 Continue was sent
  bool body_consumed_ = false;
  bool answered_ = false;
  bool keep_alive_ = false;
  bool taken_over_ = false;
  int status_ = 0;
};

}  // namespace miniboxd
