// SPDX-License-Identifier: Apache-2.0
// A cubin is an ELF file. Its section .nv.info is a list of attributes: a byte each for the form and the attribute's number, 16 bits
// for the payload's size (or the value itself), then the payload: here the function's symbol and a value.
#include "cubin.h"

#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { ROOM = 1 << 22 };
enum { FORM_SIZED = 4, ATTRIBUTE_FRAME_SIZE = 0x11, ATTRIBUTE_REGISTERS = 0x2f };

static unsigned char bytes[ROOM];

static bool take_attributes(const unsigned char *at, const unsigned char *end, cubin_resources *resources)
{
    bool seen = false;
    while (at + 4 <= end) {
        uint16_t size;
        uint32_t value = 0;
        memcpy(&size, at + 2, sizeof size);
        const int form = at[0], attribute = at[1];
        at += 4;
        if (form != FORM_SIZED) continue;
        if (at + size > end) return false;
        if (size >= 8) memcpy(&value, at + 4, sizeof value);
        if (attribute == ATTRIBUTE_FRAME_SIZE && value > resources->local_bytes) resources->local_bytes = value;
        if (attribute == ATTRIBUTE_REGISTERS && value > resources->registers) resources->registers = value;
        seen |= attribute == ATTRIBUTE_REGISTERS;
        at += size;
    }
    return seen;
}

bool cubin_read(const char *path, cubin_resources *resources)
{
    FILE *const file = fopen(path, "rb");
    const size_t size = file ? fread(bytes, 1, sizeof bytes, file) : 0;
    if (file) fclose(file);
    Elf64_Ehdr head;
    if (size < sizeof head || size == sizeof bytes || memcmp(bytes, ELFMAG, SELFMAG) != 0) return false;
    memcpy(&head, bytes, sizeof head);
    if (head.e_shoff + (size_t)head.e_shnum * sizeof(Elf64_Shdr) > size || head.e_shstrndx >= head.e_shnum) return false;
    const Elf64_Shdr *const sections = (const Elf64_Shdr *)(const void *)(bytes + head.e_shoff);
    const size_t names = sections[head.e_shstrndx].sh_offset;
    *resources = (cubin_resources){ 0 };
    for (int i = 0; i < head.e_shnum; ++i) {
        const Elf64_Shdr *const s = &sections[i];
        if (names + s->sh_name >= size || strcmp((const char *)bytes + names + s->sh_name, ".nv.info") != 0) continue;
        if (s->sh_offset + s->sh_size > size) return false;
        return take_attributes(bytes + s->sh_offset, bytes + s->sh_offset + s->sh_size, resources);
    }
    return false;
}
