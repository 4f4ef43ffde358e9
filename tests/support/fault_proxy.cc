// SPDX-License-Identifier: Apache-2.0
#include "support/fault_proxy.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace minibox::testing {
namespace {

struct Answer {
  std::string first_line{};
  std::map<std::string, std::string> headers{};
  std::string body{};
};

// The whole answer of the server behind. Cut after `upload_limit` bytes of the request's body.
bool Forward(int port, const ServedRequest& request, bool drop_range, uint64_t upload_limit,
             Answer* answer) {
  const int socket = ConnectTo(port);
  if (socket < 0) return false;
  std::string head = request.method + " " + request.target + " HTTP/1.1\r\nConnection: close\r\n";
  for (const auto& [name, value] : request.headers) {
    if (name == "connection" || (drop_range && name == "range")) continue;
    head += name + ": " + value + "\r\n";
  }
  head += "\r\n";
  SendAll(socket, head);
  const bool cut = upload_limit < request.body.size();
  SendAll(socket, std::string_view(request.body).substr(0, upload_limit));
  if (cut) shutdown(socket, SHUT_WR);
  MessageReader reader(socket);
  const std::string answer_head = reader.Head();
  bool complete = !answer_head.empty();
  if (complete) {
    answer->first_line = answer_head.substr(0, answer_head.find("\r\n"));
    answer->headers = ParseHeaders(answer_head);
    const auto chunked = answer->headers.find("transfer-encoding");
    if (request.method == "HEAD") {
    } else if (chunked != answer->headers.end()) {
      answer->headers.erase(chunked);
      while (true) {
        const size_t size = strtoull(reader.Line().c_str(), nullptr, 16);
        if (size == 0) break;
        answer->body += reader.Exactly(size);
        reader.Line();
      }
    } else if (const auto length = answer->headers.find("content-length");
               length != answer->headers.end()) {
      answer->body = reader.Exactly(strtoull(length->second.c_str(), nullptr, 10));
    }
  }
  close(socket);
  return complete && !cut;
}

std::string HeadOf(const Answer& answer, const std::string& framing) {
  std::string head = answer.first_line + "\r\n";
  for (const auto& [name, value] : answer.headers) {
    if (name == "content-length" || name == "connection") continue;
    head += name + ": " + value + "\r\n";
  }
  return head + framing + "\r\n\r\n";
}

std::string Length(size_t size) { return "Content-Length: " + std::to_string(size); }

}  // namespace

FaultProxy::FaultProxy(int upstream_port, int port)
    : upstream_(upstream_port),
      server_(std::make_unique<HttpServer>(
          [this](const ServedRequest& request, ServedConnection& connection) {
            Handle(request, connection);
          },
          port)) {}

void FaultProxy::Add(const FaultRule& rule) {
  const std::lock_guard lock(mutex_);
  rules_.push_back(rule);
}

void FaultProxy::Clear() {
  const std::lock_guard lock(mutex_);
  rules_.clear();
}

std::vector<std::string> FaultProxy::Seen() const {
  const std::lock_guard lock(mutex_);
  return seen_;
}

size_t FaultProxy::Count(const std::string& part) const {
  const std::vector<std::string> seen = Seen();
  return static_cast<size_t>(std::count_if(seen.begin(), seen.end(), [&](const std::string& line) {
    return line.find(part) != std::string::npos;
  }));
}

bool FaultProxy::Take(const ServedRequest& request, Fault* fault) {
  const std::lock_guard lock(mutex_);
  std::string line = request.method + " " + request.target;
  if (const std::string range = request.Header("range"); !range.empty()) line += " " + range;
  seen_.push_back(std::move(line));
  for (FaultRule& rule : rules_) {
    if (rule.times == 0 || (!rule.method.empty() && rule.method != request.method) ||
        request.target.find(rule.path) == std::string::npos) {
      continue;
    }
    if (rule.times > 0) --rule.times;
    *fault = rule.fault;
    return true;
  }
  return false;
}

void FaultProxy::Handle(const ServedRequest& request, ServedConnection& connection) {
  using Kind = Fault::Kind;
  Fault fault;
  const bool faulty = Take(request, &fault);
  const auto is = [&](Kind kind) { return faulty && fault.kind == kind; };
  if (is(Kind::kStatus)) {
    connection.Respond(fault.status, fault.headers, fault.body, request.method == "HEAD");
    return;
  }
  if (is(Kind::kRedirectLoop)) {
    connection.Respond(307, {{"Location", request.target}});
    return;
  }
  Answer answer;
  const uint64_t limit = is(Kind::kCutUpload) ? fault.bytes : UINT64_MAX;
  if (!Forward(upstream_, request, is(Kind::kNoRange), limit, &answer)) return connection.Close();
  if (request.method == "HEAD") {
    connection.Send(HeadOf(answer, "Content-Length: " + answer.headers["content-length"]));
    return;
  }
  std::string& body = answer.body;
  const size_t at = static_cast<size_t>(std::min<uint64_t>(fault.bytes, body.size()));
  if (is(Kind::kCut)) {
    connection.Send(HeadOf(answer, Length(body.size())) + body.substr(0, at));
    return connection.Close();
  }
  if (is(Kind::kStall)) {
    connection.Send(HeadOf(answer, Length(body.size())) + body.substr(0, at));
    return connection.AwaitEnd();
  }
  if (is(Kind::kSlow)) {
    connection.Send(HeadOf(answer, Length(body.size())));
    for (const char c : body) {
      if (!connection.Send(std::string_view(&c, 1))) break;
    }
    return;
  }
  if (is(Kind::kTooLong)) {
    body.append(fault.bytes, 'x');
    char size[32];
    snprintf(size, sizeof size, "%zx\r\n", body.size());
    connection.Send(HeadOf(answer, "Transfer-Encoding: chunked") + size + body + "\r\n0\r\n\r\n");
    return;
  }
  if (is(Kind::kWrongBytes) && at < body.size()) body[at] = static_cast<char>(body[at] ^ 1);
  if (is(Kind::kWrongLength)) body.resize(body.size() - at);
  if (is(Kind::kBody)) body = fault.body;
  connection.Send(HeadOf(answer, Length(body.size())) + body);
}

}  // namespace minibox::testing
