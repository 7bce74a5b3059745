#pragma once
#include <napi.h>

void InitFutex(Napi::Env env, Napi::Object exports);
