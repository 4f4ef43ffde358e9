// SPDX-License-Identifier: Apache-2.0
// Names in the data root (spec §6).
#pragma once

#include <string_view>

namespace minibox::store {

inline constexpr std::string_view kOciLayout = "oci-layout";
inline constexpr std::string_view kIndexFile = "index.json";
inline constexpr std::string_view kStoreLock = "store.lock";
inline constexpr std::string_view kBlobs = "blobs";
inline constexpr std::string_view kBlobs256 = "blobs/sha256";
inline constexpr std::string_view kExtracted = "extracted";
inline constexpr std::string_view kLazy = "lazy";
inline constexpr std::string_view kLayers = "layers";
inline constexpr std::string_view kCache = "cache";
inline constexpr std::string_view kContainers = "containers";
inline constexpr std::string_view kVolumes = "volumes";
inline constexpr std::string_view kVolumeMeta = "volumes/.meta";
inline constexpr std::string_view kNetworks = "networks";
inline constexpr std::string_view kLeases = "leases";
inline constexpr std::string_view kPartial = "partial";
inline constexpr std::string_view kTmp = "tmp";

inline constexpr std::string_view kRecordSuffix = ".json";

// Keys of DataRoot::LockKey, before a layer's diff id, a cache key, a volume's name.
inline constexpr std::string_view kLayerLock = "store/layer/";
inline constexpr std::string_view kSnapshotLock = "store/snapshot/";
inline constexpr std::string_view kPartialLock = "store/partial/";
inline constexpr std::string_view kVolumeLock = "store/volume/";

}  // namespace minibox::store
