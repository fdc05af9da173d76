/* The hot kernels of the text rules as plain C loops: what they are measured against.
 *
 * The same algorithms over the same arrays as phoenix_assets/clean/{characters,repetition,ngrams}.py: texts are
 * `values[offsets[i] .. offsets[i + 1])`. `room` is working memory, see bench/ours/kernels_c.py for its sizes.
 */

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { LINE_END = 10, PLACES_PER_NGRAM = 8, LEAST_WIDTH = 10 };

typedef struct {
    uint32_t *hashes, *halves;
    uint8_t *places;
    int32_t *candidates, *table, *first, *counts;
} Room;

static int64_t line_length(const uint32_t *line, int64_t end, const uint8_t *classes) {
    int64_t size = end, start = 0;
    while (end > 0 && classes[line[end - 1]]) end--;
    if (end == 0) {
        for (int64_t i = 0; i < size; i++)
            if (classes[line[i]] == 1) return 0;
        return -1;
    }
    while (classes[line[start]]) start++;
    return end - start;
}

/* The shares of special characters and of short lines. */
void characters(int64_t texts, const int64_t *offsets, const uint32_t *values, const uint8_t *classes,
                int64_t short_length, double *special, double *shorts) {
    for (int64_t row = 0; row < texts; row++) {
        const uint32_t *text = values + offsets[row];
        int64_t size = offsets[row + 1] - offsets[row], lines = 0, short_lines = 0, start = 0;
        uint64_t count = 0;
        for (int64_t i = 0; i <= size; i++) {
            if (i < size) count += classes[text[i]] & 1;
            if (i == size || text[i] == LINE_END) {
                int64_t length = line_length(text + start, i - start, classes);
                lines += length >= 0;
                short_lines += length >= 0 && length < short_length;
                start = i + 1;
            }
        }
        special[row] = size > 0 ? (double)count / size : 0.0;
        shorts[row] = lines > 0 ? (double)short_lines / lines : 0.0;
    }
}

#define NGRAMS(NAME, SYMBOL)                                                                                  \
    /* Hash all n-grams by a polynomial, longer ones made of shorter ones; return where the hashes are. */    \
    static uint32_t *hash_##NAME(const SYMBOL *text, int64_t size, int64_t ngram, const Room *room) {         \
        uint32_t *restrict hashes = room->hashes, *restrict halves = room->halves, *swap;                     \
        uint32_t multiplier = 0x9E3779B1u, power = multiplier;                                                \
        int64_t length = 1, bit = 1;                                                                          \
        for (int64_t i = 0; i < size; i++) hashes[i] = (uint32_t)text[i] + 1;                                 \
        while (2 * bit <= ngram) bit *= 2;                                                                    \
        while (bit > 1) {                                                                                     \
            int64_t after = length;                                                                           \
            bit >>= 1;                                                                                        \
            length *= 2;                                                                                      \
            for (int64_t i = 0; i < size - length + 1; i++) halves[i] = hashes[i] * power + hashes[i + after]; \
            power *= power;                                                                                   \
            swap = hashes, hashes = halves, halves = swap;                                                    \
            if (ngram & bit) {                                                                                \
                after = length++;                                                                             \
                for (int64_t i = 0; i < size - length + 1; i++)                                               \
                    halves[i] = hashes[i] * multiplier + (uint32_t)text[i + after];                           \
                power *= multiplier;                                                                          \
                swap = hashes, hashes = halves, halves = swap;                                                \
            }                                                                                                 \
        }                                                                                                     \
        for (int64_t i = 0; i < size - length + 1; i++)                                                       \
            hashes[i] = (hashes[i] ^ (hashes[i] >> 15)) * 0xD6E8FEB9u;                                        \
        return hashes;                                                                                        \
    }                                                                                                         \
                                                                                                              \
    /* Return how many n-grams occur more than once, their counts in room->counts. */                         \
    static int64_t repeated_##NAME(const SYMBOL *text, int64_t total, int64_t ngram, const Room *room,        \
                                   int64_t *distinct) {                                                       \
        const uint32_t *hashes = hash_##NAME(text, total + ngram - 1, ngram, room);                           \
        uint8_t *places = room->places;                                                                       \
        int32_t *table = room->table, *first = room->first, *counts = room->counts;                           \
        int64_t width = LEAST_WIDTH, marked = 0, bits = 4, found = 0, repeated = 0;                           \
        while (((int64_t)1 << width) < total * PLACES_PER_NGRAM) width++;                                     \
        memset(places, 0, (size_t)1 << width);                                                                \
        for (int64_t i = 0; i < total; i++) {                                                                 \
            uint32_t place = hashes[i] >> (32 - width);                                                       \
            places[place] = (uint8_t)(places[place] << 1 | 1);                                                \
        }                                                                                                     \
        for (int64_t i = 0; i < total; i++) {                                                                 \
            room->candidates[marked] = (int32_t)i;                                                            \
            marked += places[hashes[i] >> (32 - width)] > 1;                                                  \
        }                                                                                                     \
        while (((int64_t)1 << bits) < 2 * marked) bits++;                                                     \
        memset(table, 0, sizeof(int32_t) << bits);                                                            \
        for (int64_t m = 0; m < marked; m++) {                                                                \
            int32_t position = room->candidates[m];                                                           \
            uint64_t mask = ((uint64_t)1 << bits) - 1, slot = hashes[position] & mask;                        \
            for (;; slot = (slot + 1) & mask) {                                                               \
                int64_t known = (int64_t)table[slot] - 1;                                                     \
                if (known < 0) {                                                                              \
                    first[found] = position;                                                                  \
                    counts[found] = 1;                                                                        \
                    table[slot] = (int32_t)++found;                                                           \
                    break;                                                                                    \
                }                                                                                             \
                if (hashes[first[known]] == hashes[position] &&                                               \
                    !memcmp(text + first[known], text + position, (size_t)ngram * sizeof(SYMBOL))) {          \
                    counts[known]++;                                                                          \
                    break;                                                                                    \
                }                                                                                             \
            }                                                                                                 \
        }                                                                                                     \
        for (int64_t k = 0; k < found; k++) {                                                                 \
            int32_t count = counts[k];                                                                        \
            counts[repeated] = count;                                                                         \
            repeated += count > 1;                                                                            \
        }                                                                                                     \
        *distinct = total - marked + found;                                                                   \
        return repeated;                                                                                      \
    }

NGRAMS(characters, uint32_t)
NGRAMS(words, uint64_t)

static int64_t sum(const int32_t *counts, int64_t size) {
    int64_t total = 0;
    for (int64_t k = 0; k < size; k++) total += counts[k];
    return total;
}

/* The sum of the `top` largest counts; counts beyond the given ones are 1. */
static int64_t sum_of_largest(const int32_t *counts, int64_t size, int64_t top, int32_t *histogram) {
    int64_t total = 0, largest = 0;
    if (top >= size) return top - size + sum(counts, size);
    for (int64_t k = 0; k < size; k++)
        if (counts[k] > largest) largest = counts[k];
    memset(histogram, 0, sizeof(int32_t) * (size_t)(largest + 1));
    for (int64_t k = 0; k < size; k++) histogram[counts[k]]++;
    for (; top > 0; largest--) {
        int64_t taken = histogram[largest] < top ? histogram[largest] : top;
        total += taken * largest;
        top -= taken;
    }
    return total;
}

void character_repetition(int64_t texts, const int64_t *offsets, const uint32_t *values, int64_t ngram,
                          const Room *room, double *ratios) {
    for (int64_t row = 0; row < texts; row++) {
        int64_t total = offsets[row + 1] - offsets[row] - ngram + 1, distinct, repeated, top;
        ratios[row] = 0.0;
        if (total <= 0) continue;
        repeated = repeated_characters(values + offsets[row], total, ngram, room, &distinct);
        top = (int64_t)sqrt((double)distinct);
        if (distinct - repeated < top) top = distinct - repeated;
        ratios[row] = (double)sum_of_largest(room->counts, repeated, top, room->first) / total;
    }
}

void word_repetition(int64_t texts, const int64_t *offsets, const uint64_t *words, int64_t ngram, const Room *room,
                     double *ratios) {
    for (int64_t row = 0; row < texts; row++) {
        int64_t total = offsets[row + 1] - offsets[row] - ngram + 1, distinct, repeated;
        ratios[row] = 0.0;
        if (total <= 0) continue;
        repeated = repeated_words(words + offsets[row], total, ngram, room, &distinct);
        ratios[row] = (double)sum(room->counts, repeated) / total;
    }
}
