// SPDX-License-Identifier: Apache-2.0
// Images and volumes.
#include "handles.h"
#include "wire/image.h"
#include "wire/json.h"
#include "wire/messages.h"
#include "wire/store_reports.h"

using namespace minibox::c;  // NOLINT: this is its implementation
using minibox::ArchiveCompression;
using minibox::Status;
using minibox::StatusOr;
using minibox::Store;
namespace wire = minibox::wire;

namespace {

StatusOr<ArchiveCompression> Compression(const char* name) {
  const std::string_view text = OptionalText(name);
  if (text.empty() || text == "none") return ArchiveCompression::kNone;
  if (text == "gzip") return ArchiveCompression::kGzip;
  if (text == "zstd") return ArchiveCompression::kZstd;
  return Bad("compression", "must be 'none', 'gzip' or 'zstd'");
}

}  // namespace

minibox_error* minibox_store_open(const minibox_store_options* options, minibox_store** store) {
  return Call([&]() -> Status {
    MBX_RETURN_IF_ERROR(Need(store, "store"));
    MBX_ASSIGN_OR_RETURN(const minibox_store_options known, Options(options));
    minibox::StoreOptions wanted;
    if (known.root != nullptr) wanted.root = known.root;
    wanted.create_if_missing = known.must_exist == 0;
    MBX_ASSIGN_OR_RETURN(Store opened, Store::Open(wanted));
    return Wrap(std::move(opened), store);
  });
}

void minibox_store_free(minibox_store* store) { Free(store); }

minibox_error* minibox_store_root(minibox_store* store, char** path) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const Store* const it, Value(store, "store"));
    return Give(it->root().native(), path);
  });
}

minibox_error* minibox_image_list(minibox_store* store, char** images_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const Store* const it, Value(store, "store"));
    MBX_ASSIGN_OR_RETURN(const auto images, it->ListImages());
    return Give(wire::ToJson(images), images_json);
  });
}

minibox_error* minibox_image_get(minibox_store* store, const char* image, char** image_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const Store* const it, Value(store, "store"));
    MBX_ASSIGN_OR_RETURN(const std::string_view name, Text(image, "image"));
    MBX_ASSIGN_OR_RETURN(const auto info, it->GetImage(name));
    return Give(wire::ToJson(info), image_json);
  });
}

minibox_error* minibox_image_inspect(minibox_store* store, const char* image, const char* platform,
                                     char** details_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const Store* const it, Value(store, "store"));
    MBX_ASSIGN_OR_RETURN(const std::string_view name, Text(image, "image"));
    MBX_ASSIGN_OR_RETURN(const auto details, it->InspectImage(name, OptionalText(platform)));
    return Give(wire::ToJson(details), details_json);
  });
}

minibox_error* minibox_image_history(minibox_store* store, const char* image, char** history_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const Store* const it, Value(store, "store"));
    MBX_ASSIGN_OR_RETURN(const std::string_view name, Text(image, "image"));
    MBX_ASSIGN_OR_RETURN(const auto history, it->GetHistory(name));
    return Give(wire::ToJson(history), history_json);
  });
}

minibox_error* minibox_image_tag(minibox_store* store, const char* image, const char* reference) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Store* const it, Value(store, "store"));
    MBX_ASSIGN_OR_RETURN(const std::string_view name, Text(image, "image"));
    MBX_ASSIGN_OR_RETURN(const std::string_view target, Text(reference, "reference"));
    return it->TagImage(name, target);
  });
}

minibox_error* minibox_image_remove(minibox_store* store, const char* image, int force,
                                    char** names_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Store* const it, Value(store, "store"));
    MBX_ASSIGN_OR_RETURN(const std::string_view name, Text(image, "image"));
    MBX_ASSIGN_OR_RETURN(const auto names, it->RemoveImage(name, {.force = force != 0}));
    return Give(wire::JsonWriter().StringArray(names).Take(), names_json);
  });
}

minibox_error* minibox_image_load(minibox_store* store, int fd, minibox_data_fn progress,
                                  void* user, minibox_cancel* cancel, char** images_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Store* const it, Value(store, "store"));
    MBX_ENDING(ending, cancel);
    const auto images = it->Load(fd, ProgressTo(ending, progress, user), ending.token());
    if (!images.ok()) return ending.Result(images.status());
    return Give(wire::ToJson(*images), images_json);
  });
}

minibox_error* minibox_image_save(minibox_store* store, const char* const* images, size_t count,
                                  int fd, const minibox_save_options* options,
                                  minibox_cancel* cancel) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const Store* const it, Value(store, "store"));
    MBX_ASSIGN_OR_RETURN(const auto names, List(images, count, "images"));
    MBX_ASSIGN_OR_RETURN(const minibox_save_options known, Options(options));
    minibox::SaveOptions wanted;
    MBX_ASSIGN_OR_RETURN(wanted.compression, Compression(known.compression));
    MBX_ENDING(ending, cancel);
    return ending.Result(it->Save(names, fd, wanted, ProgressTo(ending, known.progress, known.user),
                                  ending.token()));
  });
}

minibox_error* minibox_image_import(minibox_store* store, int fd, const char* image,
                                    const minibox_import_options* options, minibox_cancel* cancel,
                                    char** image_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Store* const it, Value(store, "store"));
    MBX_ASSIGN_OR_RETURN(const std::string_view name, Text(image, "image"));
    MBX_ASSIGN_OR_RETURN(const minibox_import_options known, Options(options));
    const minibox::ImportOptions wanted{.image = std::string(name),
                                        .message = std::string(OptionalText(known.message))};
    MBX_ENDING(ending, cancel);
    const auto info =
        it->Import(fd, wanted, ProgressTo(ending, known.progress, known.user), ending.token());
    if (!info.ok()) return ending.Result(info.status());
    return Give(wire::ToJson(*info), image_json);
  });
}

minibox_error* minibox_store_prune(minibox_store* store, const minibox_prune_options* options,
                                   minibox_cancel* cancel, char** report_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Store* const it, Value(store, "store"));
    MBX_ASSIGN_OR_RETURN(const minibox_prune_options known, Options(options));
    minibox::PruneOptions wanted{.build_cache = known.build_cache != 0,
                                 .dry_run = known.dry_run != 0};
    if (known.keep_bytes != 0) wanted.keep_bytes = known.keep_bytes;
    MBX_ENDING(ending, cancel);
    MBX_ASSIGN_OR_RETURN(const auto report, it->Prune(wanted, ending.token()));
    return Give(wire::ToJson(report), report_json);
  });
}

minibox_error* minibox_store_usage(minibox_store* store, int items, char** usage_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const Store* const it, Value(store, "store"));
    MBX_ASSIGN_OR_RETURN(const auto report, it->GetDiskUsage(items != 0));
    return Give(wire::ToJson(report, items != 0), usage_json);
  });
}

minibox_error* minibox_store_verify(minibox_store* store, minibox_cancel* cancel,
                                    char** report_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const Store* const it, Value(store, "store"));
    MBX_ENDING(ending, cancel);
    MBX_ASSIGN_OR_RETURN(const auto report, it->Verify(ending.token()));
    return Give(wire::ToJson(report), report_json);
  });
}

minibox_error* minibox_volume_create(minibox_store* store, const char* name,
                                     const char* labels_json, char** volume_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Store* const it, Value(store, "store"));
    MBX_ASSIGN_OR_RETURN(const auto labels, TextMap(labels_json, "labels_json"));
    MBX_ASSIGN_OR_RETURN(const auto volume, it->CreateVolume(OptionalText(name), labels));
    return Give(wire::ToJson(volume), volume_json);
  });
}

minibox_error* minibox_volume_inspect(minibox_store* store, const char* name, char** volume_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const Store* const it, Value(store, "store"));
    MBX_ASSIGN_OR_RETURN(const std::string_view volume_name, Text(name, "name"));
    MBX_ASSIGN_OR_RETURN(const auto volume, it->InspectVolume(volume_name));
    return Give(wire::ToJson(volume), volume_json);
  });
}

minibox_error* minibox_volume_list(minibox_store* store, char** volumes_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const Store* const it, Value(store, "store"));
    MBX_ASSIGN_OR_RETURN(const auto volumes, it->ListVolumes());
    return Give(wire::ToJson(volumes), volumes_json);
  });
}

minibox_error* minibox_volume_remove(minibox_store* store, const char* name) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Store* const it, Value(store, "store"));
    MBX_ASSIGN_OR_RETURN(const std::string_view volume, Text(name, "name"));
    return it->RemoveVolume(volume);
  });
}

minibox_error* minibox_volume_prune(minibox_store* store, int all, int dry_run,
                                    char** report_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Store* const it, Value(store, "store"));
    MBX_ASSIGN_OR_RETURN(const auto report,
                         it->PruneVolumes({.all = all != 0, .dry_run = dry_run != 0}));
    return Give(wire::ToJson(report), report_json);
  });
}
