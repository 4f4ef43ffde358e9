// SPDX-License-Identifier: Apache-2.0
// An HTTP client that sends exactly the bytes it is given and keeps the answer's bytes apart.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace minibox::testing {

struct RawResponse {
  int status = 0;                                // 0: the connection ended before a head
  std::map<std::string, std::string> headers{};  // names in lower case; repeated ones joined by \n
  std::string body{};                            // chunks decoded
  std::map<std::string, std::string> trailers{};
  bool complete = false;  // Content-Length reached, last chunk seen, or delimited by the end

  std::string Header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
};

class RawClient {
 public:
  explicit RawClient(int port);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool Send(std::string_view bytes);
  void HalfClose();
  void Close();
  // The next response; `to_head` for the answer to a HEAD request.
  RawResponse Receive(bool to_head = false);
  // Only the head of the next response; its body is in what follows.
  RawResponse ReceiveHead();
  // Waits for the next chunk of a chunked body; nullopt after the last or at the end.
  std::optional<std::string> ReceiveChunk(RawResponse* response);
  // Everything up to the end of `text`, or to the end of the connection.
  std::string ReadUntil(std::string_view text);
  std::string ReadToEnd();
  // The peer has closed and nothing is left to read.
  bool AtEnd();

  static RawResponse Ask(int port, std::string_view request, bool to_head = false);

 private:
  bool Fill();
  std::optional<std::string> Line();
  bool TakeExactly(size_t size, std::string* out);

  int socket_;
  std::string buffer_;
};

}  // namespace minibox::testing
