#include "doorbell.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

#include "descriptor.h"
#include "error.h"
#include "exports.h"

namespace {

// createDoorbell() -> [where it rings, who rings it]: the two ends of a pipe.
// Not an eventfd, which is one object for all its holders: any of them could
// saturate it and clear O_NONBLOCK, and the next write of the others would
// block. The writing end stays with who made it.
Napi::Value CreateDoorbell(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
    FailWith(env, errno, "pipe");
    return Napi::Value();
  }
  Napi::Value listening = Descriptor::New(env, ends[0]);
  Napi::Value ringing = Descriptor::New(env, ends[1]);
  if (listening.IsEmpty() || ringing.IsEmpty()) return Napi::Value();
  Napi::Array result = Napi::Array::New(env, 2);
  result.Set(0u, listening);
  result.Set(1u, ringing);
  return result;
}

// isPipe(descriptor): by a call that asks no file system, which might be the peer's.
Napi::Value IsPipe(const Napi::CallbackInfo& info) {
  int fd = Descriptor::Get(info[0]);
  if (fd < 0) return Napi::Value();
  return Napi::Boolean::New(info.Env(), fcntl(fd, F_GETPIPE_SZ) >= 0);
}

// ringDoorbell(ringing) -> false when it could not: full, and so ringing, or
// with nobody listening. Node ignores SIGPIPE.
Napi::Value RingDoorbell(const Napi::CallbackInfo& info) {
  int fd = Descriptor::Get(info[0]);
  if (fd < 0) return Napi::Value();
  char one = 1;
  return Napi::Boolean::New(info.Env(), write(fd, &one, 1) == 1);
}

// clearDoorbell(listening) -> whether it was ringing, or null when nobody can ring it any more.
// RWF_NOWAIT: who made it may have cleared O_NONBLOCK on the file that is shared.
Napi::Value ClearDoorbell(const Napi::CallbackInfo& info) {
  int fd = Descriptor::Get(info[0]);
  if (fd < 0) return Napi::Value();
  char rings[512];
  struct iovec part = {rings, sizeof rings};
  ssize_t got = preadv2(fd, &part, 1, -1, RWF_NOWAIT);
  // Linux before 6.4.
  if (got < 0 && errno == EOPNOTSUPP) got = read(fd, rings, sizeof rings);
  if (got == 0) return info.Env().Null();
  return Napi::Boolean::New(info.Env(), got > 0);
}

}  // namespace

void InitDoorbell(Napi::Env env, Napi::Object exports) {
  ExportFunction<CreateDoorbell>(env, exports, "createDoorbell");
  ExportFunction<IsPipe>(env, exports, "isPipe");
  ExportFunction<RingDoorbell>(env, exports, "ringDoorbell");
  ExportFunction<ClearDoorbell>(env, exports, "clearDoorbell");
}
