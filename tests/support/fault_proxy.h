// SPDX-License-Identifier: Apache-2.0
// An HTTP proxy in front of a server on this host, which breaks what passes through it.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "support/http_server.h"

namespace minibox::testing {

struct Fault {
  enum class Kind {
    kCut,           // the connection ends after `bytes` of the answer's body
    kStall,         // nothing more comes after `bytes` of it
    kStatus,        // `status` instead of an answer, with `headers`
    kWrongBytes,    // one byte of the body is another, at `bytes`
    kWrongLength,   // `bytes` fewer, with a Content-Length that says so
    kTooLong,       // `bytes` more, chunked
    kRedirectLoop,  // to itself
    kSlow,          // the body byte by byte
    kNoRange,       // Range is taken out of the request
    kBody,          // `body` instead of the body
    kCutUpload,     // the connection ends after `bytes` of the request's body
  };
  Kind kind = Kind::kCut;
  uint64_t bytes = 0;
  int status = 0;
  ServedConnection::Headers headers{};
  std::string body{};
};

struct FaultRule {
  std::string method{};  // empty: any
  std::string path{};    // a part of the target
  int times = 1;         // -1: always
  Fault fault{};
};

class FaultProxy {
 public:
  explicit FaultProxy(int upstream_port, int port = 0);

  // The first rule that fits a request is used.
  void Add(const FaultRule& rule);
  void Clear();
  int port() const { return server_->port(); }
  std::string host() const { return server_->host(); }
  // "GET /v2/… [range]" of each request that came.
  std::vector<std::string> Seen() const;
  size_t Count(const std::string& part) const;

 private:
  void Handle(const ServedRequest& request, ServedConnection& connection);
  // A copy, counted as used.
  bool Take(const ServedRequest& request, Fault* fault);

  const int upstream_;
  mutable std::mutex mutex_;
  std::vector<FaultRule> rules_;
  std::vector<std::string> seen_;
  std::unique_ptr<HttpServer> server_;
};

}  // namespace minibox::testing
