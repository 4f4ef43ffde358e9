// SPDX-License-Identifier: Apache-2.0
#include "tools/raw_client.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

namespace minibox::testing {
namespace {

constexpr int kPatienceMs = 20000;

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(tolower(c));
  return text;
}

void AddHeader(const std::string& line, std::map<std::string, std::string>* headers) {
  const size_t colon = line.find(": ");
  if (colon == std::string::npos) {
    ADD_FAILURE() << "malformed header: " << line;
    return;
  }
  std::string& value = (*headers)[Lower(line.substr(0, colon))];
  if (!value.empty()) value += "\n";
  value += line.substr(colon + 2);
}

}  // namespace

RawClient::RawClient(int port) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) Close();
}

RawClient::~RawClient() { Close(); }

bool RawClient::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

void RawClient::HalfClose() { shutdown(socket_, SHUT_WR); }

void RawClient::Close() {
  if (socket_ >= 0) close(socket_);
  socket_ = -1;
}

bool RawClient::Fill() {
  pollfd ready{.fd = socket_, .events = POLLIN, .revents = 0};
  if (socket_ < 0 || poll(&ready, 1, kPatienceMs) <= 0) return false;
  char bytes[16384];
  const ssize_t count = recv(socket_, bytes, sizeof bytes, 0);
  if (count <= 0) return false;
  buffer_.append(bytes, static_cast<size_t>(count));
  return true;
}

std::optional<std::string> RawClient::Line() {
  size_t end;
  while ((end = buffer_.find("\r\n")) == std::string::npos) {
    if (!Fill()) return std::nullopt;
  }
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 2);
  return line;
}

bool RawClient::TakeExactly(size_t size, std::string* out) {
  while (buffer_.size() < size) {
    if (!Fill()) {
      out->append(buffer_);
      buffer_.clear();
      return false;
    }
  }
  out->append(buffer_, 0, size);
  buffer_.erase(0, size);
  return true;
}

RawResponse RawClient::ReceiveHead() {
  RawResponse response;
  const auto first = Line();
  if (!first) return response;
  EXPECT_TRUE(first->starts_with("HTTP/1.1 ")) << *first;
  response.status = std::stoi(first->substr(9, 3));
  while (true) {
    const auto line = Line();
    if (!line) {
      response.status = 0;
      return response;
    }
    if (line->empty()) return response;
    AddHeader(*line, &response.headers);
  }
}

std::optional<std::string> RawClient::ReceiveChunk(RawResponse* response) {
  const auto size = Line();
  if (!size) return std::nullopt;
  const size_t length = std::stoul(*size, nullptr, 16);
  if (length == 0) {
    while (true) {
      const auto line = Line();
      if (!line) return std::nullopt;
      if (line->empty()) break;
      AddHeader(*line, &response->trailers);
    }
    response->complete = true;
    return std::nullopt;
  }
  std::string chunk, end;
  if (!TakeExactly(length, &chunk) || !TakeExactly(2, &end)) return std::nullopt;
  return chunk;
}

RawResponse RawClient::Receive(bool to_head) {
  RawResponse response = ReceiveHead();
  if (response.status == 0) return response;
  if (to_head || response.status == 100) {
    response.complete = true;
  } else if (response.Header("transfer-encoding") == "chunked") {
    while (auto chunk = ReceiveChunk(&response)) response.body += *chunk;
  } else if (const std::string length = response.Header("content-length"); !length.empty()) {
    response.complete = TakeExactly(std::stoul(length), &response.body);
  } else {
    while (Fill()) {
    }
    response.body = std::move(buffer_);
    response.complete = true;
  }
  return response;
}

std::string RawClient::ReadUntil(std::string_view text) {
  size_t end;
  while ((end = buffer_.find(text)) == std::string::npos) {
    if (!Fill()) {
      ADD_FAILURE() << "no '" << text << "' in: " << buffer_;
      return std::exchange(buffer_, {});
    }
  }
  std::string found = buffer_.substr(0, end + text.size());
  buffer_.erase(0, found.size());
  return found;
}

std::string RawClient::ReadToEnd() {
  while (Fill()) {
  }
  return std::exchange(buffer_, {});
}

bool RawClient::AtEnd() { return buffer_.empty() && !Fill(); }

RawResponse RawClient::Ask(int port, std::string_view request, bool to_head) {
  RawClient client(port);
  client.Send(request);
  return client.Receive(to_head);
}

}  // namespace minibox::testing
