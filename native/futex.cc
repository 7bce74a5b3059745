#include "futex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "error.h"
#include "exports.h"

namespace {

// The 32-bit word at a byte offset of an ArrayBuffer, or null with an exception.
uint32_t* Word(const Napi::CallbackInfo& info) {
  Napi::ArrayBuffer memory = info[0].As<Napi::ArrayBuffer>();
  uint32_t offset = info[1].As<Napi::Number>().Uint32Value();
  if (offset % 4 != 0 || memory.ByteLength() < 4 || offset > memory.ByteLength() - 4) {
    ThrowArgumentError(info.Env(), "no futex word there");
    return nullptr;
  }
  return reinterpret_cast<uint32_t*>(static_cast<char*>(memory.Data()) + offset);
}

// futexWait(memory, offset, expected, milliseconds) -> false when it timed out.
// Blocks this thread: callers slice long waits (a native wait cannot be ended
// by worker.terminate() or process.exit()).
Napi::Value FutexWait(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  uint32_t* word = Word(info);
  if (word == nullptr) return Napi::Value();
  uint32_t expected = info[2].As<Napi::Number>().Uint32Value();
  double milliseconds = info[3].As<Napi::Number>().DoubleValue();
  auto nanoseconds = static_cast<int64_t>(milliseconds * 1e6);
  struct timespec timeout = {static_cast<time_t>(nanoseconds / 1000000000),
                             static_cast<long>(nanoseconds % 1000000000)};
  long result = syscall(SYS_futex, word, FUTEX_WAIT, expected, &timeout, nullptr, 0);
  if (result == 0 || errno == EAGAIN || errno == EINTR) return Napi::Boolean::New(env, true);
  if (errno != ETIMEDOUT) FailWith(env, errno, "futex");
  return Napi::Boolean::New(env, false);
}

// futexWake(memory, offset): wakes whoever sleeps on the word.
Napi::Value FutexWake(const Napi::CallbackInfo& info) {
  uint32_t* word = Word(info);
  if (word == nullptr) return Napi::Value();
  if (syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, nullptr, nullptr, 0) < 0) {
    FailWith(info.Env(), errno, "futex");
  }
  return info.Env().Undefined();
}

}  // namespace

void InitFutex(Napi::Env env, Napi::Object exports) {
  ExportFunction<FutexWait>(env, exports, "futexWait");
  ExportFunction<FutexWake>(env, exports, "futexWake");
}
