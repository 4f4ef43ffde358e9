// SPDX-License-Identifier: Apache-2.0
// What the files of the C ABI share: handles, and the way in and out of every function.
//
//   minibox_error* minibox_image_list(minibox_store* store, char** images_json) {
//     return Call([&]() -> Status {
//       MBX_ASSIGN_OR_RETURN(Store* const it, Value(store, "store"));
//       MBX_ASSIGN_OR_RETURN(const auto images, it->ListImages());
//       return Give(wire::ToJson(images), images_json);
//     });
//   }
#pragma once

#include <atomic>
#include <cstddef>
#include <cstring>
#include <exception>
#include <functional>
#include <mutex>
#include <new>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/status_macros.h"
#include "minibox.h"
#include "minibox/minibox.h"
#include "wire/fields.h"
#include "wire/text.h"

// A handle of another kind, or something else, is told by its tag.
#define MBX_C_HANDLE(name, type, tag_value)       \
  struct name {                                   \
    static constexpr uint64_t kTag = (tag_value); \
    uint64_t tag = kTag;                          \
    type value;                                   \
  }

MBX_C_HANDLE(minibox_cancel, std::stop_source, 0x6d62782d63616e63);
MBX_C_HANDLE(minibox_store, minibox::Store, 0x6d62782d73746f72);
MBX_C_HANDLE(minibox_registry, minibox::Registry, 0x6d62782d72656769);
MBX_C_HANDLE(minibox_network, minibox::Network, 0x6d62782d6e657477);
MBX_C_HANDLE(minibox_runtime, minibox::Runtime, 0x6d62782d72756e74);
MBX_C_HANDLE(minibox_process, minibox::Process, 0x6d62782d70726f63);
MBX_C_HANDLE(minibox_builder, minibox::ImageBuilder, 0x6d62782d62756c64);
MBX_C_HANDLE(minibox_compose, minibox::Compose, 0x6d62782d636f6d70);

struct minibox_error {
  minibox::Status status;
};

namespace minibox::c {

// There is no memory for an error that says more.
minibox_error* NoMemory();

// Runs `body`, which returns a Status; nothing is thrown any further.
template <typename Body>
minibox_error* Call(Body&& body) noexcept {
  try {
    try {
      Status status = body();
      return status.ok() ? nullptr : new minibox_error{std::move(status)};
    } catch (const std::bad_alloc&) {
      return NoMemory();
    } catch (const std::exception& error) {
      return new minibox_error{Status(StatusCode::kInternal, error.what())};
    }
  } catch (...) {
    return NoMemory();
  }
}

// The parameter is not what it must be: "<name>: <why>".
inline Status Bad(std::string_view name, std::string_view why) {
  return wire::InvalidField(name, why);
}

// The C++ object of a handle.
template <typename Handle>
auto Value(Handle* handle, std::string_view name) -> StatusOr<decltype(&handle->value)> {
  if (handle == nullptr) return Bad(name, "must not be NULL");
  if (handle->tag != Handle::kTag) return Bad(name, "is no such handle");
  return &handle->value;
}

// Wraps a result that is itself a handle. `out` is checked before the work by Need().
template <typename Handle, typename T>
Status Wrap(T value, Handle** out) {
  *out = new Handle{.value = std::move(value)};
  return Status();
}

template <typename T>
void Free(T* handle) {
  if (handle != nullptr && handle->tag == T::kTag) delete handle;
}

// Of a pointer or a callback.
template <typename Pointer>
Status Need(Pointer pointer, std::string_view name) {
  return pointer == nullptr ? Bad(name, "must not be NULL") : Status();
}

// A required text.
inline StatusOr<std::string_view> Text(const char* text, std::string_view name) {
  if (text == nullptr) return Bad(name, "must not be NULL");
  return std::string_view(text);
}

// An optional one; NULL is empty.
inline std::string_view OptionalText(const char* text) { return text == nullptr ? "" : text; }

StatusOr<std::vector<std::string>> List(const char* const* items, size_t count,
                                        std::string_view name);

// A copy of `text` that minibox_string_free() frees; nothing if `out` is NULL.
Status Give(std::string_view text, char** out);

// More is no option struct but something uninitialised.
inline constexpr size_t kMaxStruct = 1 << 16;
// Of the first version; where fields are appended, the size without them is to stand here.
template <typename T>
inline constexpr size_t kFirstSize = sizeof(T);

// The options as this library knows them: all defaults for NULL.
template <typename T>
StatusOr<T> Options(const T* given, std::string_view name = "options") {
  T known{};
  known.struct_size = sizeof(T);
  if (given == nullptr) return known;
  const size_t size = given->struct_size;
  if (size < kFirstSize<T> || size > kMaxStruct) return Bad(name, "struct_size is wrong");
  const auto* const bytes = reinterpret_cast<const unsigned char*>(given);
  for (size_t i = sizeof(T); i < size; ++i) {
    if (bytes[i] != 0) return Bad(name, "has options that this version does not know");
  }
  std::memcpy(&known, given, std::min(size, sizeof(T)));
  return known;
}

// minibox_cancel and callbacks that want no more, as one stop_token.
class Ending {
 public:
  // `cancel` may be NULL.
  static StatusOr<std::optional<std::stop_token>> TokenOf(minibox_cancel* cancel);
  explicit Ending(const std::optional<std::stop_token>& outer);
  Ending(const Ending&) = delete;
  Ending& operator=(const Ending&) = delete;

  std::stop_token token() const { return stop_.get_token(); }
  // Calls `callback`, which returns not 0 to end everything. After that it is not called again.
  Status Ask(const std::function<int()>& callback);
  // What the whole call returns: why a callback ended it, if one did.
  Status Result(const Status& status) const;

 private:
  std::stop_source stop_;
  std::optional<std::stop_callback<std::function<void()>>> link_;
  mutable std::mutex mutex_;
  Status refused_;
};

// MBX_ENDING(ending, cancel): an Ending of that name for the rest of the function.
#define MBX_ENDING(name, cancel)                                          \
  MBX_ASSIGN_OR_RETURN(const auto name##_token, Ending::TokenOf(cancel)); \
  Ending name(name##_token)

// C++ callbacks that hand everything to a C one. Empty, or doing nothing, if that is NULL.
OutputFn OutputTo(Ending& ending, minibox_output_fn output, void* user);
Status DataTo(Ending& ending, minibox_data_fn data, void* user, const std::string& text);
// Of a callback that must not be NULL.
BytesSink BytesTo(Ending& ending, minibox_data_fn data, void* user);
ProgressFn ProgressTo(Ending& ending, minibox_data_fn progress, void* user);
std::function<void(const ContainerInfo&)> StartedTo(Ending& ending,
                                                    const minibox_run_options& options);

// The fields of a JSON object; unknown ones are refused by Finish().
StatusOr<wire::FieldReader> Fields(const char* json, std::string_view name);
// An object of texts; NULL is an empty one.
StatusOr<Labels> TextMap(const char* json, std::string_view name);
// The body of POST /containers/run.
struct RunRequestParts {
  ContainerSpec spec;
  OnDisconnect on_disconnect;
};
StatusOr<RunRequestParts> RunSpec(const char* spec_json);
// Nothing but blanks may follow a request, and all its fields must be known.
Status CheckWhole(std::string_view body, size_t end, const std::vector<std::string>& unknown);

StatusOr<std::optional<TimePoint>> Moment(const char* text, std::string_view name);
StatusOr<ContainerId> FindContainer(const Runtime& runtime, const char* container);

// `exit` may be NULL. Its struct_size is checked before the work.
Status CheckExit(const minibox_exit* exit);
void GiveExit(const ExitStatus& status, minibox_exit* exit);

}  // namespace minibox::c
