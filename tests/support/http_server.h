// SPDX-License-Identifier: Apache-2.0
// A small HTTP/1.1 server for tests, which may also misbehave: a handler writes what it likes.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace minibox::testing {

struct ServedRequest {
  std::string method{}, target{};                // as sent
  std::string path{}, query{};                   // of the target
  std::map<std::string, std::string> headers{};  // names in lower case
  std::string body{};
  bool complete = true;  // false: the connection ended within the body

  std::string Header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
  // A parameter of the query, percent-decoded.
  std::string Parameter(const std::string& name) const;
};

class ServedConnection {
 public:
  explicit ServedConnection(int socket) : socket_(socket) {}
  using Headers = std::vector<std::pair<std::string, std::string>>;

  bool Send(std::string_view bytes);
  // With Content-Length, which a handler may have given itself.
  bool Respond(int status, const Headers& headers = {}, std::string_view body = {},
               bool to_head = false);
  // Nothing more will be sent or read.
  void Close();
  bool closed() const { return closed_; }
  // Waits until the client is gone or the server ends.
  void AwaitEnd();
  int socket() const { return socket_; }

 private:
  const int socket_;
  bool closed_ = false;
};

class HttpServer {
 public:
  using Handler = std::function<void(const ServedRequest&, ServedConnection&)>;

  // On 127.0.0.1, a free port; the handler is called on a thread per connection.
  explicit HttpServer(Handler handler, int port = 0);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const { return port_; }
  // "127.0.0.1:<port>"
  std::string host() const { return "127.0.0.1:" + std::to_string(port_); }
  std::string url() const { return "http://" + host(); }

 private:
  void Accept();
  void Serve(int socket);

  Handler handler_;
  int listener_ = -1;
  int port_ = 0;
  std::mutex mutex_;
  bool ending_ = false;
  std::set<int> sockets_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

// Reads one message's head and body from a socket; used on both sides.
class MessageReader {
 public:
  explicit MessageReader(int socket) : socket_(socket) {}
  // The head with its empty line; "" at the end.
  std::string Head();
  // Up to that many bytes; "" at the end.
  std::string Some(size_t limit);
  std::string Exactly(size_t size);
  std::string Line();

 private:
  bool Fill();
  int socket_;
  std::string buffer_;
};

// Headers of a head, names in lower case; the first line is left out.
std::map<std::string, std::string> ParseHeaders(std::string_view head);
// A connection to a port of this host, or -1.
int ConnectTo(int port);
bool SendAll(int socket, std::string_view bytes);

}  // namespace minibox::testing
