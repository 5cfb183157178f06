// SPDX-License-Identifier: Apache-2.0
// Philox 4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3"): four words from a seed, a sequence and a counter.
WORD void LOCAL_NAME(philox)(u32 *word, u64 seed, u64 sequence, u64 counter)
{
    u32 key0 = (u32)seed, key1 = (u32)(seed >> 32);
    u32 a = (u32)counter, b = (u32)(counter >> 32), c = (u32)sequence, d = (u32)(sequence >> 32);
    UNROLLED for (int round = 0; round < 10; ++round) {
        const u64 x = (u64)0xd2511f53u * a, y = (u64)0xcd9e8d57u * c;
        a = (u32)(y >> 32) ^ b ^ key0;
        c = (u32)(x >> 32) ^ d ^ key1;
        b = (u32)y;
        d = (u32)x;
        key0 += 0x9e3779b9u;
        key1 += 0xbb67ae85u;
    }
    word[0] = a, word[1] = b, word[2] = c, word[3] = d;
}
