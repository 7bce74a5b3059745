#include "copy.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "error.h"
#include "exports.h"

namespace {

// Of long copies libc's memcpy makes `rep movsb`. Intel's takes lines that another core has without fetching them
// first, and is the cheapest way there: past the cache is by way of its distant memory.
bool PrefersLibc() {
#ifdef __x86_64__
  static const bool is_intel = __builtin_cpu_is("intel") != 0;
  return is_intel;
#else
  return false;
#endif
}

// Plain vector moves elsewhere: on some CPUs `rep movsb` drops to a tenth of its
// speed when the destination lies 1 to 63 bytes after the source modulo 4096, as
// a malloc'd Buffer does after a page. No wider than the registers that the
// compiler may use: else each step goes by way of the stack.
typedef uint64_t Vector __attribute__((vector_size(16), aligned(1), may_alias));

void CopyBytes(uint8_t* target, const uint8_t* source, size_t length) {
  if (PrefersLibc()) {
    std::memcpy(target, source, length);
    return;
  }
  size_t at = 0;
  for (; at + 64 <= length; at += 64) {
    Vector a = *reinterpret_cast<const Vector*>(source + at);
    Vector b = *reinterpret_cast<const Vector*>(source + at + 16);
    Vector c = *reinterpret_cast<const Vector*>(source + at + 32);
    Vector d = *reinterpret_cast<const Vector*>(source + at + 48);
    *reinterpret_cast<Vector*>(target + at) = a;
    *reinterpret_cast<Vector*>(target + at + 16) = b;
    *reinterpret_cast<Vector*>(target + at + 32) = c;
    *reinterpret_cast<Vector*>(target + at + 48) = d;
  }
  std::memcpy(target + at, source + at, length - at);
}

// The same for memory whose lines another core has in its cache, since it read what was there before: stores past
// the cache need not fetch each of them first. Fenced: whatever is stored after this is seen after it.
void CopyPastCache(uint8_t* target, const uint8_t* source, size_t length) {
#ifdef __SSE2__
  if (PrefersLibc()) return CopyBytes(target, source, length);
  constexpr size_t kLine = 64;
  size_t head = (kLine - reinterpret_cast<uintptr_t>(target) % kLine) % kLine;
  if (head > length) head = length;
  std::memcpy(target, source, head);
  size_t at = head;
  for (; at + kLine <= length; at += kLine) {
    auto* from = reinterpret_cast<const __m128i*>(source + at);
    auto* to = reinterpret_cast<__m128i*>(target + at);
    __m128i a = _mm_loadu_si128(from);
    __m128i b = _mm_loadu_si128(from + 1);
    __m128i c = _mm_loadu_si128(from + 2);
    __m128i d = _mm_loadu_si128(from + 3);
    _mm_stream_si128(to, a);
    _mm_stream_si128(to + 1, b);
    _mm_stream_si128(to + 2, c);
    _mm_stream_si128(to + 3, d);
  }
  _mm_sfence();
  std::memcpy(target + at, source + at, length - at);
#else
  CopyBytes(target, source, length);
#endif
}

// copy(target, targetOffset, source, sourceOffset, length), between Uint8Arrays; copyPastCache(…) likewise.
template <void (*copy_bytes)(uint8_t*, const uint8_t*, size_t)>
Napi::Value Copy(const Napi::CallbackInfo& info) {
  auto target = info[0].As<Napi::Uint8Array>();
  auto source = info[2].As<Napi::Uint8Array>();
  size_t target_offset = info[1].As<Napi::Number>().Int64Value();
  size_t source_offset = info[3].As<Napi::Number>().Int64Value();
  size_t length = info[4].As<Napi::Number>().Int64Value();
  if (target_offset > target.ByteLength() || length > target.ByteLength() - target_offset ||
      source_offset > source.ByteLength() || length > source.ByteLength() - source_offset) {
    ThrowArgumentError(info.Env(), "copy outside of its arrays");
    return Napi::Value();
  }
  copy_bytes(target.Data() + target_offset, source.Data() + source_offset, length);
  return info.Env().Undefined();
}

}  // namespace

void InitCopy(Napi::Env env, Napi::Object exports) {
  ExportFunction<Copy<CopyBytes>>(env, exports, "copy");
  ExportFunction<Copy<CopyPastCache>>(env, exports, "copyPastCache");
}
