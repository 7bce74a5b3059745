#include "memory.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <fstream>
#include <string>

#include "descriptor.h"
#include "error.h"
#include "exports.h"
#include "instance.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

// The kernel gives a process so many mappings (65,530 by default), and V8 dies
// when it gets none. So an eighth of them is left to the rest of the process.
class MappingQuota {
 public:
  // Of all environments of this process. False when there are no more.
  static bool Take(long count) {
    if (used_.fetch_add(count) + count <= Limit()) return true;
    Give(count);
    return false;
  }
  static void Give(long count) { used_.fetch_sub(count); }

 private:
  static long Limit() {
    static const long limit = ReadLimit();
    return limit;
  }
  static long ReadLimit() {
    long limit = 65530;
    std::ifstream("/proc/sys/vm/max_map_count") >> limit;
    return limit - limit / 8;
  }
  static inline std::atomic<long> used_{0};
};

struct Mapping {
  // Null once it is unmapped.
  void* address;
  size_t length;
  // Mappings as the kernel counts them.
  long count;
  // Held while V8 does not count it.
  napi_ref hidden = nullptr;
  // The ArrayBuffer that it was made with, held weakly.
  napi_ref memory = nullptr;
  std::shared_ptr<LiveMappings> live = nullptr;

  void Hide(Napi::ArrayBuffer memory) {
    if (hidden != nullptr) return;
    if (napi_create_reference(memory.Env(), memory, 1, &hidden) != napi_ok) return;
    if (!Instance::Get(memory.Env())->hidden_memory->Hide(length)) Drop(memory.Env());
  }
  void Show(Napi::Env env) {
    if (hidden == nullptr) return;
    Instance::Get(env)->hidden_memory->Show(length);
    Drop(env);
  }
  void Drop(Napi::Env env) {
    napi_delete_reference(env, hidden);
    hidden = nullptr;
  }
  void Track(Napi::ArrayBuffer buffer) {
    if (live != nullptr) return;
    if (napi_create_reference(buffer.Env(), buffer, 0, &memory) != napi_ok) return;
    live = Instance::Get(buffer.Env())->live_mappings;
    live->Add(this);
  }
  void Forget(Napi::Env env) {
    if (live == nullptr) return;
    live->Remove(this);
    live = nullptr;
    napi_delete_reference(env, memory);
  }
  // The application has moved the memory elsewhere.
  bool IsTaken(napi_env env) {
    napi_value buffer = nullptr;
    bool is_detached = true;
    if (napi_get_reference_value(env, memory, &buffer) != napi_ok || buffer == nullptr) return true;
    napi_is_detached_arraybuffer(env, buffer, &is_detached);
    return is_detached;
  }
  // It stays mapped as long as this process lives.
  void Leave() { address = nullptr; }
  void Unmap() {
    if (address == nullptr) return;
    munmap(address, length);
    MappingQuota::Give(count);
    address = nullptr;
  }
};

void LiveMappings::Add(Mapping* mapping) {
  mappings_.insert(mapping);
  Put();
}

void LiveMappings::BuffersEnd() {
  for (Mapping* mapping : mappings_) {
    if (mapping->address != nullptr && mapping->IsTaken(env_)) mapping->Leave();
  }
}

namespace {

// The memory itself holds it, and the ArrayBuffer that it was made with: the
// application can move the memory to another one.
using Held = std::shared_ptr<Mapping>;

// Objects that wrap a Held, and nothing else.
constexpr napi_type_tag kMappingTag = {0x73686d6c6f6f7000, 0x6d617070696e6700};

// createMemory(name, length): a sealable memfd of that size.
Napi::Value CreateMemory(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::string name = info[0].As<Napi::String>();
  int64_t length = info[1].As<Napi::Number>().Int64Value();
  unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  int fd = memfd_create(name.c_str(), flags | MFD_NOEXEC_SEAL);
  if (fd < 0 && errno == EINVAL) fd = memfd_create(name.c_str(), flags);
  if (fd < 0) {
    FailWith(env, errno, "memfd_create");
    return Napi::Value();
  }
  if (ftruncate(fd, length) != 0) {
    int error = errno;
    close(fd);
    FailWith(env, error, "ftruncate");
    return Napi::Value();
  }
  return Descriptor::New(env, fd);
}

// createNamedMemory(name, length): a new file in /dev/shm with every page
// reserved, so that a full /dev/shm is ENOSPC here and not SIGBUS later.
Napi::Value CreateNamedMemory(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::string name = info[0].As<Napi::String>();
  int64_t length = info[1].As<Napi::Number>().Int64Value();
  int fd = shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) {
    FailWith(env, errno, "shm_open");
    return Napi::Value();
  }
  int error = posix_fallocate(fd, 0, length);
  if (error != 0) {
    close(fd);
    shm_unlink(name.c_str());
    FailWith(env, error, "fallocate");
    return Napi::Value();
  }
  return Descriptor::New(env, fd);
}

Napi::Value OpenNamedMemory(const Napi::CallbackInfo& info) {
  std::string name = info[0].As<Napi::String>();
  int fd = shm_open(name.c_str(), O_RDWR | O_CLOEXEC, 0);
  if (fd < 0) {
    FailWith(info.Env(), errno, "shm_open");
    return Napi::Value();
  }
  return Descriptor::New(info.Env(), fd);
}

Napi::Value UnlinkNamedMemory(const Napi::CallbackInfo& info) {
  std::string name = info[0].As<Napi::String>();
  if (shm_unlink(name.c_str()) != 0) FailWith(info.Env(), errno, "shm_unlink");
  return info.Env().Undefined();
}

// inspectMemory(descriptor) -> [size, seals or -1, on tmpfs, owner's uid]
Napi::Value InspectMemory(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  int fd = Descriptor::Get(info[0]);
  if (fd < 0) return Napi::Value();
  // First what asks no file system: that of a peer's file may be one that the peer answers for.
  int seals = fcntl(fd, F_GET_SEALS);
  struct stat status = {};
  struct statfs filesystem = {};
  if (seals >= 0 && (fstat(fd, &status) != 0 || fstatfs(fd, &filesystem) != 0)) {
    FailWith(env, errno, "fstat");
    return Napi::Value();
  }
  Napi::Array result = Napi::Array::New(env, 4);
  result.Set(0u, Napi::Number::New(env, static_cast<double>(status.st_size)));
  result.Set(1u, Napi::Number::New(env, seals));
  result.Set(2u, Napi::Boolean::New(env, filesystem.f_type == TMPFS_MAGIC));
  result.Set(3u, Napi::Number::New(env, status.st_uid));
  return result;
}

Napi::Value SealMemory(const Napi::CallbackInfo& info) {
  int fd = Descriptor::Get(info[0]);
  if (fd < 0) return Napi::Value();
  if (fcntl(fd, F_ADD_SEALS, info[1].As<Napi::Number>().Int32Value()) != 0) {
    FailWith(info.Env(), errno, "fcntl");
  }
  return info.Env().Undefined();
}

void Finalize(Napi::Env env, void*, Held* held) {
  (*held)->Forget(env);
  (*held)->Unmap();
  delete held;
}

Napi::Value Wrap(Napi::Env env, void* address, size_t length, long count) {
  // Forked children must not share rings with their parent's peers.
  madvise(address, length, MADV_DONTFORK);
  Held mapping(new Mapping{address, length, count});
  auto* held = new Held(mapping);
  Napi::ArrayBuffer memory = Napi::ArrayBuffer::New(env, address, length, Finalize, held);
  // A worker that is being terminated gets no more objects.
  if (memory.IsEmpty()) {
    Finalize(env, address, held);
    return memory;
  }
  held = new Held(mapping);
  auto forget = [](napi_env, void* data, void*) { delete static_cast<Held*>(data); };
  if (napi_type_tag_object(env, memory, &kMappingTag) != napi_ok ||
      napi_wrap(env, memory, held, forget, nullptr, nullptr) != napi_ok) {
    delete held;
  }
  return memory;
}

// Gives back what was taken of the quota, and fails.
Napi::Value Refuse(Napi::Env env, int error, long taken) {
  MappingQuota::Give(taken);
  FailWith(env, error, "mmap");
  return Napi::Value();
}

// What is written to a private mapping stays in this process.
int Sharing(Napi::Value is_private) {
  bool is_set = is_private.ToBoolean().UnwrapOr(Napi::Boolean::New(is_private.Env(), false)).Value();
  return is_set ? MAP_PRIVATE : MAP_SHARED;
}

// mapMemory(descriptor, length, isPrivate) -> ArrayBuffer of the file's first bytes.
Napi::Value MapMemory(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  int fd = Descriptor::Get(info[0]);
  if (fd < 0) return Napi::Value();
  size_t length = info[1].As<Napi::Number>().Int64Value();
  if (!MappingQuota::Take(1)) return Refuse(env, ENOMEM, 0);
  void* address = mmap(nullptr, length, PROT_READ | PROT_WRITE, Sharing(info[2]), fd, 0);
  if (address == MAP_FAILED) return Refuse(env, errno, 1);
  return Wrap(env, address, length, 1);
}

// mapRing(descriptor, control, data) -> ArrayBuffer of control + data + data
// again: the mirror makes every span of the ring contiguous.
Napi::Value MapRing(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  int fd = Descriptor::Get(info[0]);
  if (fd < 0) return Napi::Value();
  size_t control = info[1].As<Napi::Number>().Int64Value();
  size_t data = info[2].As<Napi::Number>().Int64Value();
  size_t length = control + 2 * data;
  int reserve = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  if (!MappingQuota::Take(2)) return Refuse(env, ENOMEM, 0);
  void* address = mmap(nullptr, length, PROT_NONE, reserve, -1, 0);
  if (address == MAP_FAILED) return Refuse(env, errno, 2);
  char* start = static_cast<char*>(address);
  int access = PROT_READ | PROT_WRITE;
  int shared = MAP_SHARED | MAP_FIXED;
  if (mmap(start, control + data, access, shared, fd, 0) == MAP_FAILED ||
      mmap(start + control + data, data, access, shared, fd, control) == MAP_FAILED) {
    int error = errno;
    munmap(address, length);
    return Refuse(env, error, 2);
  }
  return Wrap(env, address, length, 2);
}

// The mapping that an ArrayBuffer was made with, or null with an exception pending.
Mapping* Find(Napi::ArrayBuffer memory) {
  Napi::Env env = memory.Env();
  bool is_mapping = false;
  void* held = nullptr;
  if (napi_check_object_type_tag(env, memory, &kMappingTag, &is_mapping) == napi_ok && is_mapping &&
      napi_unwrap(env, memory, &held) == napi_ok) {
    return static_cast<Held*>(held)->get();
  }
  ThrowArgumentError(env, "not a mapping");
  return nullptr;
}

// hideMapping(memory): V8 counts it no more. Where no code of the application
// gets it: that could move it to another ArrayBuffer, and have that collected.
Napi::Value HideMapping(const Napi::CallbackInfo& info) {
  Napi::ArrayBuffer memory = info[0].As<Napi::ArrayBuffer>();
  Mapping* mapping = Find(memory);
  if (mapping != nullptr) mapping->Hide(memory);
  return info.Env().Undefined();
}

// showMapping(memory): V8 counts it again, and the application may get it.
Napi::Value ShowMapping(const Napi::CallbackInfo& info) {
  Napi::ArrayBuffer memory = info[0].As<Napi::ArrayBuffer>();
  Mapping* mapping = Find(memory);
  if (mapping == nullptr) return Napi::Value();
  mapping->Show(info.Env());
  mapping->Track(memory);
  return info.Env().Undefined();
}

// remapMemory(memory, descriptor, isPrivate): maps the file's first bytes in the
// mapping's place, at the same address.
Napi::Value RemapMemory(const Napi::CallbackInfo& info) {
  Mapping* mapping = Find(info[0].As<Napi::ArrayBuffer>());
  if (mapping == nullptr) return Napi::Value();
  int fd = Descriptor::Get(info[1]);
  if (fd < 0) return Napi::Value();
  if (mapping->address == nullptr) return info.Env().Undefined();
  int flags = Sharing(info[2]) | MAP_FIXED;
  void* address = mmap(mapping->address, mapping->length, PROT_READ | PROT_WRITE, flags, fd, 0);
  if (address == MAP_FAILED) {
    FailWith(info.Env(), errno, "mmap");
  } else {
    madvise(address, mapping->length, MADV_DONTFORK);
  }
  return info.Env().Undefined();
}

// retireMapping(memory): puts anonymous private memory in the mapping's place.
// Where the application or its thread pool may still hold a pointer: the
// address range goes with the ArrayBuffer, or with the one that has it by now.
Napi::Value RetireMapping(const Napi::CallbackInfo& info) {
  Mapping* mapping = Find(info[0].As<Napi::ArrayBuffer>());
  if (mapping == nullptr) return Napi::Value();
  if (mapping->address == nullptr) return info.Env().Undefined();
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
  void* address = mmap(mapping->address, mapping->length, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (address == MAP_FAILED) FailWith(info.Env(), errno, "mmap");
  mapping->Show(info.Env());
  return info.Env().Undefined();
}

// unmapMemory(memory): detaches the ArrayBuffer and gives the address range
// back now. Only where nobody holds a view that native code might be using.
Napi::Value UnmapMemory(const Napi::CallbackInfo& info) {
  Napi::ArrayBuffer memory = info[0].As<Napi::ArrayBuffer>();
  Mapping* mapping = Find(memory);
  if (mapping == nullptr) return Napi::Value();
  if (memory.IsDetached()) {
    ThrowArgumentError(info.Env(), "the memory is not in there any more");
    return Napi::Value();
  }
  mapping->Show(info.Env());
  memory.Detach();
  mapping->Unmap();
  return info.Env().Undefined();
}

// populateMapping(memory, offset, length) -> whether the kernel took the pages.
Napi::Value PopulateMapping(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::ArrayBuffer memory = info[0].As<Napi::ArrayBuffer>();
  if (Find(memory) == nullptr) return Napi::Value();
  size_t offset = info[1].As<Napi::Number>().Int64Value();
  size_t length = info[2].As<Napi::Number>().Int64Value();
  if (offset > memory.ByteLength() || length > memory.ByteLength() - offset) {
    ThrowArgumentError(env, "range outside of the mapping");
    return Napi::Value();
  }
  char* start = static_cast<char*>(memory.Data()) + offset;
  if (madvise(start, length, MADV_POPULATE_WRITE) == 0) return Napi::Boolean::New(env, true);
  // EINVAL: a kernel before 5.14; the pages come when they are touched.
  if (errno != EINVAL) FailWith(env, errno, "madvise");
  return Napi::Boolean::New(env, false);
}

}  // namespace

void InitMemory(Napi::Env env, Napi::Object exports) {
  ExportFunction<CreateMemory>(env, exports, "createMemory");
  ExportFunction<CreateNamedMemory>(env, exports, "createNamedMemory");
  ExportFunction<OpenNamedMemory>(env, exports, "openNamedMemory");
  ExportFunction<UnlinkNamedMemory>(env, exports, "unlinkNamedMemory");
  ExportFunction<InspectMemory>(env, exports, "inspectMemory");
  ExportFunction<SealMemory>(env, exports, "sealMemory");
  ExportFunction<MapMemory>(env, exports, "mapMemory");
  ExportFunction<MapRing>(env, exports, "mapRing");
  ExportFunction<HideMapping>(env, exports, "hideMapping");
  ExportFunction<ShowMapping>(env, exports, "showMapping");
  ExportFunction<RemapMemory>(env, exports, "remapMemory");
  ExportFunction<RetireMapping>(env, exports, "retireMapping");
  ExportFunction<UnmapMemory>(env, exports, "unmapMemory");
  ExportFunction<PopulateMapping>(env, exports, "populateMapping");
}
