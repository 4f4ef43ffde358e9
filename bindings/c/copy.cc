// SPDX-License-Identifier: Apache-2.0
// Copies into containers and out of them, and the trees at the other end.
#include "handles.h"
#include "wire/changes.h"

using namespace minibox::c;  // NOLINT: this is its implementation
using minibox::ContainerId;
using minibox::Runtime;
using minibox::Status;
namespace wire = minibox::wire;

minibox_error* minibox_container_stat(minibox_runtime* runtime, const char* container,
                                      const char* path, int follow_link, char** stat_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Runtime* const it, Value(runtime, "runtime"));
    MBX_ASSIGN_OR_RETURN(const ContainerId id, FindContainer(*it, container));
    MBX_ASSIGN_OR_RETURN(const std::string_view text, Text(path, "path"));
    MBX_ASSIGN_OR_RETURN(const auto stat, it->StatPath(id, text, follow_link != 0));
    return Give(wire::ToJson(stat), stat_json);
  });
}

minibox_error* minibox_container_copy_out(minibox_runtime* runtime, const char* container,
                                          const char* path, int follow_link, minibox_data_fn tar,
                                          void* user, minibox_cancel* cancel) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Runtime* const it, Value(runtime, "runtime"));
    MBX_ASSIGN_OR_RETURN(const ContainerId id, FindContainer(*it, container));
    MBX_ASSIGN_OR_RETURN(const std::string_view text, Text(path, "path"));
    MBX_RETURN_IF_ERROR(Need(tar, "tar"));
    MBX_ENDING(ending, cancel);
    return ending.Result(it->CopyOut(id, text, BytesTo(ending, tar, user),
                                     {.follow_link = follow_link != 0}, ending.token()));
  });
}

minibox_error* minibox_container_copy_in(minibox_runtime* runtime, const char* container,
                                         const char* directory, int fd, int keep_ids,
                                         minibox_cancel* cancel) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Runtime* const it, Value(runtime, "runtime"));
    MBX_ASSIGN_OR_RETURN(const ContainerId id, FindContainer(*it, container));
    MBX_ASSIGN_OR_RETURN(const std::string_view text, Text(directory, "directory"));
    MBX_ENDING(ending, cancel);
    return it->CopyIn(id, text, fd, {.keep_ids = keep_ids != 0}, ending.token());
  });
}

minibox_error* minibox_tree_pack(const char* path, const char* name, int follow_link,
                                 minibox_data_fn tar, void* user, minibox_cancel* cancel) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const std::string_view text, Text(path, "path"));
    MBX_ASSIGN_OR_RETURN(const std::string_view entry, Text(name, "name"));
    MBX_RETURN_IF_ERROR(Need(tar, "tar"));
    MBX_ENDING(ending, cancel);
    return ending.Result(
        minibox::PackTree(text, {.name = std::string(entry), .follow_link = follow_link != 0},
                          BytesTo(ending, tar, user), ending.token()));
  });
}

minibox_error* minibox_tree_unpack(int fd, const char* directory, const char* name, int keep_ids,
                                   minibox_cancel* cancel) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const std::string_view text, Text(directory, "directory"));
    minibox::UnpackOptions wanted{.keep_ids = keep_ids != 0};
    if (name != nullptr) wanted.name = name;
    MBX_ENDING(ending, cancel);
    return minibox::UnpackTree(fd, text, wanted, ending.token());
  });
}
