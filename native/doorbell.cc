#include "doorbell.h"

#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "descriptor.h"
#include "error.h"
#include "exports.h"

namespace {

Napi::Value CreateDoorbell(const Napi::CallbackInfo& info) {
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) {
    ThrowSystemError(info.Env(), errno, "eventfd");
    return Napi::Value();
  }
  return Descriptor::New(info.Env(), fd);
}

// ringDoorbell(descriptor) -> false when it could not (saturated: it is ringing).
// RWF_NOWAIT: the other holder may have cleared O_NONBLOCK on the shared file.
Napi::Value RingDoorbell(const Napi::CallbackInfo& info) {
  int fd = Descriptor::Get(info[0]);
  if (fd < 0) return Napi::Value();
  uint64_t one = 1;
  struct iovec part = {&one, sizeof one};
  ssize_t written = pwritev2(fd, &part, 1, -1, RWF_NOWAIT);
  if (written < 0 && errno == EOPNOTSUPP) written = write(fd, &one, sizeof one);
  return Napi::Boolean::New(info.Env(), written == sizeof one);
}

// clearDoorbell(descriptor) -> whether it was ringing.
Napi::Value ClearDoorbell(const Napi::CallbackInfo& info) {
  int fd = Descriptor::Get(info[0]);
  if (fd < 0) return Napi::Value();
  uint64_t count = 0;
  struct iovec part = {&count, sizeof count};
  ssize_t got = preadv2(fd, &part, 1, -1, RWF_NOWAIT);
  return Napi::Boolean::New(info.Env(), got == sizeof count && count > 0);
}

}  // namespace

void InitDoorbell(Napi::Env env, Napi::Object exports) {
  ExportFunction<CreateDoorbell>(env, exports, "createDoorbell");
  ExportFunction<RingDoorbell>(env, exports, "ringDoorbell");
  ExportFunction<ClearDoorbell>(env, exports, "clearDoorbell");
}
