// SPDX-License-Identifier: Apache-2.0
// Connections that become a pipe between a client and a process (spec §4.4).
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "exchange.h"
#include "minibox/runtime.h"

namespace miniboxd {

// Whether the client asks for frames instead of bare bytes.
bool WantsFrames(const RequestHead& head);

// `rows` and `cols` of the query; other parameters are warned of. An error is 400.
minibox::StatusOr<minibox::TerminalSize> TerminalSizeOf(Exchange& exchange);

struct Conversation {
  std::string_view failure_prefix{};  // of the last line of a raw stream
  bool input = true;                  // false: what the client sends for stdin is dropped
  std::string early{};                // stdin that came with the request
  std::stop_token closing{};          // ends it as the client's leaving does
};

// Answers with the head of a stream and carries bytes both ways until the process has ended or the
// client is gone, which what becomes of the process follows: its destructor decides.
void Converse(Exchange& exchange, minibox::Process process, Conversation conversation);

}  // namespace miniboxd
