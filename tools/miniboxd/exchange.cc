// SPDX-License-Identifier: Apache-2.0
#include "exchange.h"

#include <sys/socket.h>

#include <utility>

#include "wire/messages.h"
#include "wire/text.h"

namespace miniboxd {

using minibox::Status;
using minibox::StatusCode;
using minibox::StatusOr;
using minibox::wire::StrCat;

namespace {

constexpr size_t kPiece = 64 << 10;
// The kernel doubles it for its own bookkeeping: at most 1 MiB waits for a slow reader.
constexpr int kStreamSendBuffer = 512 << 10;

std::string Hex(size_t number) {
  char text[17];
  snprintf(text, sizeof text, "%zx", number);
  return text;
}

// Header values come from names that users chose: nothing in them may end the line.
std::string OneLine(std::string_view text) { return minibox::wire::EscapeControl(text); }

}  // namespace

Exchange::Exchange(RequestHead head, const Connection& connection)
    : head_(std::move(head)), connection_(connection), framing_(FramingOf(head_)) {
  body_consumed_ = !framing_.chunked && framing_.length == 0;
}

StatusOr<size_t> Exchange::ReadSome(char* buffer, size_t size) {
  if (body_consumed_) return size_t{0};
  if (!continued_ && head_.minor > 0 && head_.Count("Expect") > 0) {
    continued_ = true;
    const Status sent = Transmit("HTTP/1.1 100 Continue\r\n\r\n");
    if (!sent.ok()) return sent;
  }
  auto count = connection_.body->Read(buffer, size);
  if (count.ok() && *count == 0) body_consumed_ = true;
  if (count.ok() && !framing_.chunked) {
    framing_.length -= *count;
    if (framing_.length == 0) body_consumed_ = true;
  }
  return count;
}

StatusOr<std::string> Exchange::ReadBody(size_t limit) {
  const Status too_large(StatusCode::kInvalidArgument,
                         StrCat("request body is larger than ", limit >> 20, " MiB"),
                         {.reason = "body_too_large"});
  if (framing_.length > limit) return too_large;
  std::string body;
  while (!body_consumed_) {
    const size_t size = body.size();
    body.resize(size + kPiece);
    const auto count = ReadSome(body.data() + size, kPiece);
    if (!count.ok()) return count.status();
    body.resize(size + *count);
    if (body.size() > limit) return too_large;
  }
  return body;
}

Status Exchange::ReadBody(const std::function<Status(std::string_view)>& sink) {
  std::string piece(kPiece, '\0');
  while (!body_consumed_) {
    const auto count = ReadSome(piece.data(), piece.size());
    if (!count.ok()) return count.status();
    if (*count == 0) break;
    const Status taken = sink(std::string_view(piece).substr(0, *count));
    if (!taken.ok()) return taken;
  }
  return Status();
}

std::stop_token Exchange::gone() {
  if (!watch_ && connection_.watch != nullptr) {
    watch_ = connection_.watch->Add(connection_.socket, [this] { gone_.request_stop(); });
  }
  return gone_.get_token();
}

void Exchange::AddHeader(std::string_view name, std::string_view value) {
  headers_.push_back({std::string(name), OneLine(value)});
}

void Exchange::AddWarning(std::string_view text) {
  std::string quoted;
  for (const char c : OneLine(text)) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  headers_.push_back({"Warning", StrCat("199 minibox \"", quoted, "\"")});
}

void Exchange::DecideKeepAlive(bool delimited) {
  // A body that nobody read may be long, or never come (100-continue): not worth waiting for.
  keep_alive_ =
      delimited && body_consumed_ && connection_.may_keep_alive && connection_.may_keep_alive();
}

std::string Exchange::HeadText(int status, std::string_view content_type,
                               const std::vector<Header>& more) const {
  std::string text = StrCat("HTTP/1.1 ", status, " ", ReasonPhrase(status), "\r\n");
  const auto add = [&](std::string_view name, std::string_view value) {
    text += StrCat(name, ": ", value, "\r\n");
  };
  if (!content_type.empty()) add("Content-Type", content_type);
  add("X-Content-Type-Options", "nosniff");
  add("Cache-Control", "no-store");
  for (const Header& header : headers_) add(header.name, header.value);
  for (const Header& header : more) add(header.name, header.value);
  if (!keep_alive_) add("Connection", "close");
  return text + "\r\n";
}

Status Exchange::Transmit(std::string_view bytes) {
  return SendAll(connection_.socket, bytes, peer_end_);
}

void Exchange::Send(int status, std::string_view content_type, std::string_view body) {
  answered_ = true;
  status_ = status;
  DecideKeepAlive(/*delimited=*/true);
  std::string text =
      HeadText(status, content_type, {{"Content-Length", std::to_string(body.size())}});
  if (!is_head_request()) text += body;
  // One that cannot be sent has nobody to hear of it.
  if (!Transmit(text).ok()) keep_alive_ = false;
}

void Exchange::SendLine(std::string_view id, std::string_view line) {
  if (wants_json()) {
    SendJson(minibox::wire::ResultLine(id, line));
  } else {
    Send(200, kText, StrCat(line, "\n"));
  }
}

void Exchange::SendJson(std::string_view json) { Send(200, kJson, StrCat(json, "\n")); }

void Exchange::SendError(const HttpError& error) {
  for (const Header& header : error.headers) AddHeader(header.name, header.value);
  if (error.status == 308) {
    Send(308, "", "");
  } else if (wants_json()) {
    const std::string json =
        minibox::wire::ToJson(minibox::wire::ErrorMessage{error.code, error.message, error.field});
    Send(error.status, kJson, StrCat(json, "\n"));
  } else {
    Send(error.status, kText, StrCat(error.message, "\n"));
  }
}

void Exchange::SendHead(int status, std::string_view content_type, uint64_t length) {
  answered_ = true;
  status_ = status;
  DecideKeepAlive(/*delimited=*/true);
  if (!Transmit(HeadText(status, content_type, {{"Content-Length", std::to_string(length)}}))
           .ok()) {
    keep_alive_ = false;
  }
}

Status Exchange::SendPart(std::string_view bytes) {
  const Status sent = Transmit(bytes);
  if (!sent.ok()) keep_alive_ = false;
  return sent;
}

ResponseStream Exchange::BeginStream(std::string_view content_type,
                                     const std::vector<std::string>& trailers) {
  answered_ = true;
  status_ = 200;
  const bool chunked = head_.minor > 0;
  DecideKeepAlive(chunked);
  std::vector<Header> more;
  if (chunked) more.push_back({"Transfer-Encoding", "chunked"});
  if (chunked && !trailers.empty()) {
    more.push_back({"Trailer", minibox::wire::StrJoin(trailers, ", ")});
  }
  if (!is_head_request()) {
    setsockopt(connection_.socket, SOL_SOCKET, SO_SNDBUF, &kStreamSendBuffer,
               sizeof kStreamSendBuffer);
    peer_end_ = PeerEnd::kIsGone;
  }
  if (!Transmit(HeadText(200, content_type, more)).ok()) keep_alive_ = false;
  return ResponseStream(this);
}

minibox::StatusOr<Exchange::TakenOver> Exchange::TakeOver(int status, std::string_view head) {
  answered_ = true;
  status_ = status;
  keep_alive_ = false;
  taken_over_ = true;
  watch_.reset();  // that the client has nothing more to say does not mean that it is gone
  TakenOver taken{connection_.socket, connection_.early_bytes ? connection_.early_bytes() : ""};
  body_consumed_ = true;
  setsockopt(connection_.socket, SOL_SOCKET, SO_SNDBUF, &kStreamSendBuffer,
             sizeof kStreamSendBuffer);
  const Status sent = Transmit(head);
  if (!sent.ok()) return sent;
  return taken;
}

std::string Exchange::SwitchingHead(std::string_view protocol) const {
  std::string text = StrCat("HTTP/1.1 101 ", ReasonPhrase(101), "\r\n");
  const auto add = [&](std::string_view name, std::string_view value) {
    text += StrCat(name, ": ", value, "\r\n");
  };
  add("Connection", "Upgrade");
  add("Upgrade", protocol);
  add("X-Content-Type-Options", "nosniff");
  add("Cache-Control", "no-store");
  for (const Header& header : headers_) add(header.name, header.value);
  return text + "\r\n";
}

ResponseStream::~ResponseStream() {
  if (exchange_ != nullptr && !exchange_->is_head_request()) exchange_->keep_alive_ = false;
}

Status ResponseStream::Write(std::string_view bytes) {
  if (bytes.empty() || exchange_->is_head_request()) return Status();
  if (exchange_->head_.minor == 0) return exchange_->Transmit(bytes);
  return exchange_->Transmit(StrCat(Hex(bytes.size()), "\r\n", bytes, "\r\n"));
}

Status ResponseStream::End(const std::vector<Header>& trailers) {
  Exchange* exchange = std::exchange(exchange_, nullptr);
  if (exchange->is_head_request() || exchange->head_.minor == 0) return Status();
  std::string text = "0\r\n";
  for (const Header& trailer : trailers) {
    text += StrCat(trailer.name, ": ", OneLine(trailer.value), "\r\n");
  }
  const Status sent = exchange->Transmit(text + "\r\n");
  if (!sent.ok()) exchange->keep_alive_ = false;
  return sent;
}

}  // namespace miniboxd
