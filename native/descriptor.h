#pragma once
#include <napi.h>

#include <memory>

#include "closing.h"

// Owns one file descriptor. Shared so that a poll handle can keep the number
// from being reused until libuv has let go of it.
class FileDescriptor {
 public:
  FileDescriptor(int fd, Origin origin) : fd_(fd), origin_(origin) {}
  ~FileDescriptor();
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
  const Origin origin_;
};

// The JavaScript object that owns a descriptor: closed by close(), by garbage
// collection, or when the environment ends, whichever comes first.
class Descriptor : public Napi::ObjectWrap<Descriptor> {
 public:
  static void Init(Napi::Env env, Napi::Object exports);
  // Takes ownership of fd, also when it fails.
  static Napi::Value New(Napi::Env env, int fd, Origin origin = Origin::kOwn);
  // The descriptor behind a JavaScript value, or -1 with an exception pending.
  static int Get(Napi::Value value);
  // The same to keep it open; null with an exception pending.
  static std::shared_ptr<FileDescriptor> Share(Napi::Value value);

  // Null with an exception pending; its methods unwrap `this` by it, too.
  static Descriptor* Unwrap(Napi::Value value);

  explicit Descriptor(const Napi::CallbackInfo& info);

 private:
  Napi::Value Number(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  std::shared_ptr<FileDescriptor> handle_;
};
