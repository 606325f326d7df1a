#include "machine.h"

#include <efi.h>
#include <efilib.h>
#include <stdarg.h>

#include "line.h"

enum { LONGEST_LINE = 512, WATCHDOG_SECONDS = 300, REST_MS = 10 };

/* Timers count in 100 ns (UEFI 2.10 section 7.1, SetTimer). */
#define MILLISECOND 10000

static EFI_EVENT timer(EFI_EVENT *event, uint32_t milliseconds) {
  if (*event == NULL) BS->CreateEvent(EVT_TIMER, TPL_CALLBACK, NULL, NULL, event);
  BS->SetTimer(*event, TimerRelative, (UINT64)milliseconds * MILLISECOND);
  return *event;
}

static EFI_EVENT deadline;
static int passed;

void machine_wait_from_now(uint32_t milliseconds) {
  timer(&deadline, milliseconds);
  passed = 0;
}

int machine_passed(void) {
  /* A timer says it once. */
  if (!passed) passed = BS->CheckEvent(deadline) == EFI_SUCCESS;
  return passed;
}

void machine_rest(void) {
  static EFI_EVENT rest;
  UINTN which;
  EFI_EVENT event = timer(&rest, REST_MS);
  BS->WaitForEvent(1, &event, &which);
}

void machine_watch(void) {
  BS->SetWatchdogTimer(WATCHDOG_SECONDS, 0, 0, NULL);
}

/* --- Text --- */

struct text {
  char *at, *end;
  int cut;
};

static void put(struct text *out, char letter) {
  if (out->at < out->end) *out->at++ = letter;
  else out->cut = 1;
}

static void put_number(struct text *out, uint64_t value, uint32_t base) {
  char digits[20];
  int count = 0;
  do digits[count++] = "0123456789abcdef"[value % base];
  while ((value /= base) != 0);
  while (count > 0) put(out, digits[--count]);
}

static void put_all(struct text *out, const char *format, va_list values) {
  for (; *format != 0; format++) {
    if (*format != '%') {
      put(out, *format);
      continue;
    }
    switch (*++format) {
      case 's':
        for (const char *text = va_arg(values, const char *); *text != 0; text++) put(out, *text);
        break;
      case 'u':
        put_number(out, va_arg(values, uint32_t), 10);
        break;
      case 'x':
        put_number(out, va_arg(values, uint64_t), 16);
        break;
      case 'i': {
        const uint8_t *address = va_arg(values, const uint8_t *);
        for (int i = 0; i < 4; i++) {
          if (i > 0) put(out, '.');
          put_number(out, address[i], 10);
        }
        break;
      }
    }
  }
  *out->at = 0;
}

int put_text(char *to, uint32_t size, const char *format, ...) {
  struct text out = {to, to + size - 1, 0};
  va_list values;
  va_start(values, format);
  put_all(&out, format, values);
  va_end(values);
  return !out.cut;
}

void say(const char *format, ...) {
  char line[LONGEST_LINE];
  CHAR16 wide[LONGEST_LINE];
  /* Room for what ends the line. */
  struct text out = {line, line + sizeof line - 3, 0};
  put_text(line, sizeof line, "bootwright: firmware ");
  while (*out.at != 0) out.at++;
  va_list values;
  va_start(values, format);
  put_all(&out, format, values);
  va_end(values);
  *out.at++ = '\r';
  *out.at++ = '\n';
  *out.at = 0;
  uint32_t length = 0;
  do wide[length] = (CHAR16)(uint8_t)line[length];
  while (line[length++] != 0);
  line_write((const uint8_t *)line, length - 1);
  if (ST->ConOut != NULL) ST->ConOut->OutputString(ST->ConOut, wide);
}
