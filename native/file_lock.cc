#include "file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "descriptor.h"
#include "error.h"
#include "exports.h"

namespace {

// lockDirectory(path) -> Descriptor that holds the lock until it is closed, or
// null when another holds it. The kernel releases it when its holder dies, and
// locking the directory itself leaves no lock file behind.
Napi::Value LockDirectory(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::string path = info[0].As<Napi::String>();
  int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) {
    FailWith(env, errno, "open");
    return Napi::Value();
  }
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return Descriptor::New(env, fd);
  int error = errno;
  close(fd);
  if (error == EWOULDBLOCK) return env.Null();
  FailWith(env, error, "flock");
  return Napi::Value();
}

}  // namespace

void InitFileLock(Napi::Env env, Napi::Object exports) { ExportFunction<LockDirectory>(env, exports, "lockDirectory"); }
