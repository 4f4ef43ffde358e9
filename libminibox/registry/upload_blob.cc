// SPDX-License-Identifier: Apache-2.0
#include "registry/upload_blob.h"

#include <unistd.h>

#include <cerrno>
#include <optional>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "registry/http_client.h"
#include "registry/retry.h"

namespace minibox::registry {
namespace {

std::string Short(const Digest& digest) { return std::string(digest.hex().substr(0, 12)); }

// "0-99": 100 bytes are there. "0-0" is what some say for none and others for one: nothing is
// known then.
std::optional<uint64_t> BytesThere(const HttpResponse& response) {
  std::string_view range = response.Header("range").value_or("");
  if (range.starts_with("bytes=")) range.remove_prefix(6);
  if (!range.starts_with("0-")) return std::nullopt;
  const auto last = core::ParseUint64(range.substr(2));
  if (!last || *last == 0) return std::nullopt;
  return *last + 1;
}

class Uploader {
 public:
  Uploader(const UploadJob& job, Remote& remote, const std::stop_token& stop)
      : job_(job),
        remote_(remote),
        stop_(stop),
        digest_(job.descriptor.digest.ToString()),
        what_(core::StrCat("blob ", Short(job.descriptor.digest))) {}

  StatusOr<Uploaded> Run() {
    Uploaded result;
    MBX_ASSIGN_OR_RETURN(result.existed, Exists());
    if (result.existed) return result;
    MBX_ASSIGN_OR_RETURN(result.mounted_from, Mount());
    if (!result.mounted_from.empty()) return result;
    Retry retry(job_.retry_delay);
    while (true) {
      const Outcome outcome = Attempt();
      if (outcome.status.ok()) return result;
      const auto delay = retry.After(outcome);
      if (!delay) return outcome.status;
      MBX_RETURN_IF_ERROR(Wait(*delay, stop_));
    }
  }

 private:
  StatusOr<bool> Exists() {
    Retry retry(job_.retry_delay);
    while (true) {
      const auto response =
          remote_.Send({.method = "HEAD", .url = core::StrCat("blobs/", digest_)}, stop_);
      if (response.ok() && response->status == 404) return false;
      const Outcome outcome = Judge(response, what_);
      if (outcome.status.ok()) return true;
      const auto delay = retry.After(outcome);
      if (!delay) return outcome.status;
      MBX_RETURN_IF_ERROR(Wait(*delay, stop_));
    }
  }

  // The repository it was mounted from, or "".
  StatusOr<std::string> Mount() {
    for (const std::string& from : job_.known_in) {
      const auto response =
          remote_.Send({.method = "POST",
                        .url = core::StrCat("blobs/uploads/?mount=", PercentEncode(digest_),
                                            "&from=", PercentEncode(from))},
                       stop_, {core::StrCat("repository:", from, ":pull")});
      if (response.status().code() == StatusCode::kCancelled) return response.status();
      // Whatever the reason: there is another way.
      if (!response.ok()) return std::string();
      if (response->status == 201) return from;
      if (response->status == 202) {
        MBX_RETURN_IF_ERROR(Follow(*response));
        return std::string();  // an upload has begun instead
      }
    }
    return std::string();
  }

  Status Follow(const HttpResponse& response) {
    const auto location = response.Header("location");
    auto url = location ? ResolveUrl(response.url, *location)
                        : StatusOr<std::string>(core::InvalidArgument("location", "is missing"));
    if (!url.ok()) {
      return core::Error(StatusCode::kUnavailable, "registry_error",
                         core::StrCat(what_, ": ", url.status().message()));
    }
    location_ = std::move(*url);
    return Status();
  }

  Outcome Attempt() {
    if (location_.empty()) {
      const auto begun = remote_.Send({.method = "POST", .url = "blobs/uploads/"}, stop_);
      Outcome outcome = Judge(begun, what_);
      if (!outcome.status.ok()) return outcome;
      outcome.status = Follow(*begun);
      if (!outcome.status.ok()) return outcome;
      offset_ = 0;
    }
    const uint64_t begin = offset_;
    if (offset_ < job_.descriptor.size) {
      Outcome outcome = SendRest();
      if (!outcome.status.ok()) {
        if (outcome.retryable) FindOffset();
        outcome.progressed = offset_ > begin;
        return outcome;
      }
    }
    Outcome outcome = Finish();
    if (outcome.status.code() == StatusCode::kNotFound) {
      // The upload is lost: from the beginning.
      location_.clear();
      outcome.retryable = true;
    }
    outcome.progressed = offset_ > begin;
    return outcome;
  }

  Outcome SendRest() {
    const uint64_t size = job_.descriptor.size, begin = offset_;
    HttpRequest request{.method = "PATCH", .url = location_};
    if (begin > 0) {
      request.headers.emplace_back("Content-Range", core::StrCat(begin, "-", size - 1));
    }
    request.upload_size = size - begin;
    request.upload = [this, begin](uint64_t offset, char* buffer,
                                   size_t count) -> StatusOr<size_t> {
      if (job_.progress) job_.progress(begin + offset);
      while (true) {
        const ssize_t n = pread(job_.fd, buffer, count, static_cast<off_t>(begin + offset));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return core::SysError("pread", what_);
        if (n == 0 && count > 0)
          return core::DataLoss(what_ + " is shorter than its manifest says");
        return static_cast<size_t>(n);
      }
    };
    const auto response = remote_.Send(std::move(request), stop_);
    Outcome outcome = Judge(response, what_);
    if (!outcome.status.ok()) return outcome;
    outcome.status = Follow(*response);
    const auto there = BytesThere(*response);
    offset_ = there ? std::min(*there, size) : size;
    if (outcome.status.ok() && offset_ < size) {
      outcome.status =
          core::Error(StatusCode::kUnavailable, "registry_error",
                      core::StrCat(what_, ": the registry took ", offset_, " of ", size, " bytes"));
      outcome.retryable = true;
    }
    return outcome;
  }

  // After a cut: where the registry wants to go on. If it does not say, from the beginning.
  void FindOffset() {
    const auto response = remote_.Send({.url = location_}, stop_);
    const auto there = response.ok() && response->status >= 200 && response->status <= 299
                           ? BytesThere(*response)
                           : std::nullopt;
    if (!there || *there > job_.descriptor.size) {
      location_.clear();
      offset_ = 0;
      return;
    }
    if (response->Header("location") && !Follow(*response).ok()) location_.clear();
    offset_ = *there;
  }

  Outcome Finish() {
    const char separator = location_.find('?') == std::string::npos ? '?' : '&';
    return Judge(
        remote_.Send({.method = "PUT",
                      .url = core::StrCat(location_, separator, "digest=", PercentEncode(digest_))},
                     stop_),
        what_);
  }

  const UploadJob& job_;
  Remote& remote_;
  const std::stop_token& stop_;
  const std::string digest_, what_;
  std::string location_;  // of the upload in progress
  uint64_t offset_ = 0;   // bytes of it that the registry has
};

}  // namespace

StatusOr<Uploaded> UploadBlob(const UploadJob& job, Remote& remote, const std::stop_token& stop) {
  return Uploader(job, remote, stop).Run();
}

}  // namespace minibox::registry
