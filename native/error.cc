#include "error.h"

#include <uv.h>

#include <cstring>
#include <string>

namespace {

// Lives as long as the handle scope of the call that runs.
thread_local napi_value failure = nullptr;

Napi::Error SystemError(Napi::Env env, int error_number, const char* syscall) {
  const char* code = uv_err_name(-error_number);
  std::string message = std::string(code) + ": " + uv_strerror(-error_number) + ", " + syscall;
  Napi::Error error = Napi::Error::New(env, message);
  Napi::Object fields = error.Value();
  fields.DefineProperties({
      Napi::PropertyDescriptor::Value("code", Napi::String::New(env, code), napi_default_jsproperty),
      Napi::PropertyDescriptor::Value("errno", Napi::Number::New(env, -error_number), napi_default_jsproperty),
      Napi::PropertyDescriptor::Value("syscall", Napi::String::New(env, syscall), napi_default_jsproperty),
  });
  return error;
}

}  // namespace

void ThrowSystemError(Napi::Env env, int error_number, const char* syscall) {
  SystemError(env, error_number, syscall).ThrowAsJavaScriptException();
}

void FailWith(Napi::Env env, int error_number, const char* syscall) {
  failure = SystemError(env, error_number, syscall).Value();
}

Napi::Value TakeFailure(Napi::Env env) {
  napi_value taken = failure;
  failure = nullptr;
  return Napi::Value(env, taken);
}

void ThrowArgumentError(Napi::Env env, const char* message) {
  Napi::TypeError error = Napi::TypeError::New(env, message);
  error.Value().DefineProperty(Napi::PropertyDescriptor::Value(
      "code", Napi::String::New(env, "ERR_INVALID_ARG_TYPE"), napi_default_jsproperty));
  error.ThrowAsJavaScriptException();
}

void ReportUncaught(napi_env env, napi_status status) {
  if (status != napi_pending_exception) return;
  napi_value exception;
  if (napi_get_and_clear_last_exception(env, &exception) == napi_ok) napi_fatal_exception(env, exception);
}
