// SPDX-License-Identifier: Apache-2.0
#include "build/cache_key.h"

namespace minibox::build {
namespace {

// Changes whenever an equal instruction would leave something else.
constexpr std::string_view kFormat = "minibox build cache 2";

}  // namespace

KeyHash::KeyHash(std::string_view kind) { Add(kFormat).Add(kind); }

KeyHash& KeyHash::Add(std::string_view field) {
  Add(static_cast<uint64_t>(field.size()));
  hash_.Update(field);
  return *this;
}

KeyHash& KeyHash::Add(uint64_t number) {
  char bytes[8];
  for (char& byte : bytes) {
    byte = static_cast<char>(number & 0xFF);
    number >>= 8;
  }
  hash_.Update(std::string_view(bytes, sizeof bytes));
  return *this;
}

KeyHash& KeyHash::Add(const std::vector<std::string>& fields) {
  Add(static_cast<uint64_t>(fields.size()));
  for (const auto& field : fields) Add(std::string_view(field));
  return *this;
}

std::string KeyHash::Finish() { return hash_.FinishHex(); }

std::string BlockStartKey(std::string_view base, const std::vector<std::string>& stack) {
  return KeyHash("block").Add(base).Add(stack).Finish();
}

std::string ActionKey(std::string_view previous, const Action& action, std::string_view network,
                      const KeySettings& settings, const std::vector<KeyEntry>& entries) {
  KeyHash hash("action");
  hash.Add(previous).Add(action.canonical).Add(action.variables->env);
  hash.Add(static_cast<uint64_t>(action.variables->arguments.size()));
  for (const auto& [name, value] : action.variables->arguments) {
    hash.Add(std::string_view(name)).Add(std::string_view(value));
  }
  hash.Add(std::string_view(action.workdir)).Add(std::string_view(action.user)).Add(action.shell);
  hash.Add(std::string_view(settings.platform)).Add(network);
  hash.Add(static_cast<uint64_t>(settings.epoch));
  hash.Add(static_cast<uint64_t>(entries.size()));
  for (const auto& entry : entries) {
    hash.Add(std::string_view(entry.target)).Add(uint64_t{entry.type}).Add(uint64_t{entry.mode});
    hash.Add(std::string_view(entry.link)).Add(entry.size).Add(std::string_view(entry.content));
    hash.Add(std::string_view(entry.capability)).Add(entry.device);
    hash.Add(std::string_view(entry.owner));
  }
  return hash.Finish();
}

}  // namespace minibox::build
