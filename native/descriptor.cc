#include "descriptor.h"

#include <cerrno>

#include "error.h"
#include "instance.h"

namespace {
constexpr napi_type_tag kTag = {0x51a0c1d7e24b4f0aULL, 0x9c3e8b1f77d24c55ULL};
}

FileDescriptor::~FileDescriptor() { CloseDescriptor(fd_, origin_); }

void Descriptor::Init(Napi::Env env, Napi::Object exports) {
  Napi::Function constructor = DefineClass(env, "Descriptor",
                                           {InstanceAccessor<&Descriptor::Number>("number"),
                                            InstanceMethod<&Descriptor::Close>("close")});
  Instance::Get(env)->descriptor_constructor = Napi::Persistent(constructor);
  exports.DefineProperty(Napi::PropertyDescriptor::Value("Descriptor", constructor, napi_enumerable));
}

Napi::Value Descriptor::New(Napi::Env env, int fd, Origin origin) {
  auto handle = std::make_shared<FileDescriptor>(fd, origin);
  auto external = Napi::External<std::shared_ptr<FileDescriptor>>::New(env, &handle);
  Napi::MaybeOrValue<Napi::Object> object =
      Instance::Get(env)->descriptor_constructor.New({external});
  if (object.IsNothing()) return Napi::Value();
  return object.Unwrap();
}

Descriptor::Descriptor(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Descriptor>(info) {
  if (!info[0].IsExternal()) {
    ThrowArgumentError(info.Env(), "a Descriptor is made by the calls that open one");
    return;
  }
  handle_ = *info[0].As<Napi::External<std::shared_ptr<FileDescriptor>>>().Data();
  info.This().As<Napi::Object>().TypeTag(&kTag);
}

Descriptor* Descriptor::Unwrap(Napi::Value value) {
  if (value.IsObject()) {
    Napi::Object object = value.As<Napi::Object>();
    if (object.CheckTypeTag(&kTag)) return Napi::ObjectWrap<Descriptor>::Unwrap(object);
  }
  ThrowArgumentError(value.Env(), "expected a Descriptor");
  return nullptr;
}

std::shared_ptr<FileDescriptor> Descriptor::Share(Napi::Value value) {
  Descriptor* descriptor = Unwrap(value);
  if (descriptor == nullptr) return nullptr;
  if (descriptor->handle_ == nullptr) ThrowSystemError(value.Env(), EBADF, "descriptor");
  return descriptor->handle_;
}

int Descriptor::Get(Napi::Value value) {
  std::shared_ptr<FileDescriptor> handle = Share(value);
  return handle == nullptr ? -1 : handle->get();
}

Napi::Value Descriptor::Number(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), handle_ == nullptr ? -1 : handle_->get());
}

void Descriptor::Close(const Napi::CallbackInfo&) { handle_.reset(); }
