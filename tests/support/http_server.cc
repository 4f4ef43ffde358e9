// SPDX-License-Identifier: Apache-2.0
#include "support/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace minibox::testing {
namespace {

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  return text;
}

std::string Trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == text.npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

std::string Decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      out += static_cast<char>(strtol(std::string(text.substr(i + 1, 2)).c_str(), nullptr, 16));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

[[noreturn]] void Die(const char* what) {
  perror(what);
  abort();
}

}  // namespace

std::string ServedRequest::Parameter(const std::string& name) const {
  std::string_view rest = query;
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const size_t equals = std::min(pair.find('='), pair.size());
    if (pair.substr(0, equals) == name) {
      return Decoded(pair.substr(std::min(pair.size(), equals + 1)));
    }
  }
  return "";
}

std::map<std::string, std::string> ParseHeaders(std::string_view head) {
  std::map<std::string, std::string> headers;
  size_t begin = head.find("\r\n");
  while (begin != head.npos && begin + 2 < head.size()) {
    const std::string_view line = head.substr(begin + 2, head.find("\r\n", begin + 2) - begin - 2);
    const size_t colon = line.find(':');
    if (colon != line.npos) {
      headers[Lower(std::string(line.substr(0, colon)))] = Trimmed(line.substr(colon + 1));
    }
    begin = head.find("\r\n", begin + 2);
  }
  return headers;
}

int ConnectTo(int port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(port);
  if (connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    const int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return socket;
  }
  close(socket);
  return -1;
}

bool SendAll(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

bool MessageReader::Fill() {
  char buffer[16384];
  ssize_t count;
  do {
    count = recv(socket_, buffer, sizeof buffer, 0);
  } while (count < 0 && errno == EINTR);
  if (count <= 0) return false;
  buffer_.append(buffer, static_cast<size_t>(count));
  return true;
}

std::string MessageReader::Head() {
  size_t end;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!Fill()) return "";
  }
  std::string head = buffer_.substr(0, end + 4);
  buffer_.erase(0, end + 4);
  return head;
}

std::string MessageReader::Some(size_t limit) {
  if (buffer_.empty() && !Fill()) return "";
  std::string some = buffer_.substr(0, limit);
  buffer_.erase(0, some.size());
  return some;
}

std::string MessageReader::Exactly(size_t size) {
  std::string out;
  while (out.size() < size) {
    const std::string some = Some(size - out.size());
    if (some.empty()) break;
    out += some;
  }
  return out;
}

std::string MessageReader::Line() {
  size_t end;
  while ((end = buffer_.find("\r\n")) == std::string::npos) {
    if (!Fill()) return "";
  }
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 2);
  return line;
}

bool ServedConnection::Send(std::string_view bytes) { return !closed_ && SendAll(socket_, bytes); }

bool ServedConnection::Respond(int status, const Headers& headers, std::string_view body,
                               bool to_head) {
  std::string head = "HTTP/1.1 " + std::to_string(status) + " -\r\n";
  bool length = false;
  for (const auto& [name, value] : headers) {
    head += name + ": " + value + "\r\n";
    length |= Lower(name) == "content-length";
  }
  if (!length) head += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  head += "\r\n";
  if (!to_head) head += body;
  return Send(head);
}

void ServedConnection::Close() {
  closed_ = true;
  shutdown(socket_, SHUT_RDWR);
}

void ServedConnection::AwaitEnd() {
  char buffer[4096];
  while (true) {
    const ssize_t count = recv(socket_, buffer, sizeof buffer, 0);
    if (count == 0 || (count < 0 && errno != EINTR)) break;
  }
  Close();
}

HttpServer::HttpServer(Handler handler, int port) : handler_(std::move(handler)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address = Loopback(port);
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) Die("bind");
  if (listen(listener_, 64) != 0) Die("listen");
  socklen_t size = sizeof address;
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

HttpServer::~HttpServer() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    shutdown(listener_, SHUT_RDWR);
    for (const int socket : sockets_) shutdown(socket, SHUT_RDWR);
  }
  acceptor_.join();
  for (std::thread& thread : threads_) thread.join();
  close(listener_);
}

void HttpServer::Accept() {
  while (true) {
    const int socket = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      return;
    }
    const std::lock_guard lock(mutex_);
    if (ending_) {
      close(socket);
      return;
    }
    const int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockets_.insert(socket);
    threads_.emplace_back([this, socket] { Serve(socket); });
  }
}

void HttpServer::Serve(int socket) {
  ServedConnection connection(socket);
  MessageReader reader(socket);
  char first_byte = 0;
  // A client that tries TLS first.
  if (recv(socket, &first_byte, 1, MSG_PEEK) == 1 && first_byte == 0x16) connection.Close();
  while (!connection.closed()) {
    const std::string head = reader.Head();
    const size_t first = head.find(' ');
    const size_t second = first == head.npos ? head.npos : head.find(' ', first + 1);
    if (second == head.npos) break;
    ServedRequest request{head.substr(0, first), head.substr(first + 1, second - first - 1)};
    const size_t question = std::min(request.target.find('?'), request.target.size());
    request.path = request.target.substr(0, question);
    if (question < request.target.size()) request.query = request.target.substr(question + 1);
    request.headers = ParseHeaders(head);
    const size_t length = strtoull(request.Header("content-length").c_str(), nullptr, 10);
    request.body = reader.Exactly(length);
    request.complete = request.body.size() == length;
    handler_(request, connection);
    if (!request.complete) break;
  }
  const std::lock_guard lock(mutex_);
  sockets_.erase(socket);
  close(socket);
}

}  // namespace minibox::testing
