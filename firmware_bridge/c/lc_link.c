/* SPDX-License-Identifier: 0BSD */
#include "lc_link.h"

#include <string.h>

#define SENDS_MAX 255u

static lc_slot *slot_at(lc_sender *sender, uint8_t index)
{
    return &sender->slots[(uint8_t)(sender->first + index) % LC_QUEUE_FRAMES];
}

void lc_sender_init(lc_sender *sender)
{
    memset(sender, 0, sizeof *sender);
    sender->window = LC_WINDOW;
    sender->rto_ms = LC_RTO_FIRST_MS;
}

void lc_sender_use_window(lc_sender *sender, uint8_t window)
{
    sender->window = window < 1 ? 1 : window > LC_WINDOW ? LC_WINDOW : window;
}

int lc_sender_offer(lc_sender *sender, uint8_t kind, uint8_t line, uint8_t id, const uint8_t *payload, size_t length)
{
    lc_slot *slot;

    if (sender->count == LC_QUEUE_FRAMES || length > LC_SLOT_BYTES) {
        return -1;
    }
    slot = slot_at(sender, sender->count);
    slot->kind = kind;
    slot->line = line;
    slot->id = id;
    slot->seq = sender->next_seq++;
    slot->sends = 0;
    slot->sent_ms = 0;
    slot->length = (uint8_t)length;
    if (length > 0) {
        memcpy(slot->payload, payload, length);
    }
    sender->count++;
    return slot->seq;
}

const lc_slot *lc_sender_take(lc_sender *sender, uint64_t now_ms)
{
    lc_slot *slot;

    if (sender->again < sender->flying) {
        slot = slot_at(sender, sender->again++);
    } else if (sender->flying < sender->count && sender->flying < sender->window) {
        slot = slot_at(sender, sender->flying++);
        sender->again = sender->flying;
    } else {
        return NULL;
    }
    if (slot->sends > 0) {
        sender->retransmissions++;
    }
    if (slot->sends < SENDS_MAX) {
        slot->sends++;
    }
    slot->sent_ms = now_ms;
    return slot;
}

static void measure(lc_sender *sender, uint32_t rtt_ms)
{
    uint32_t srtt = sender->srtt_x8 / 8;
    uint32_t error = srtt > rtt_ms ? srtt - rtt_ms : rtt_ms - srtt;

    if (!sender->measured) {
        sender->measured = true;
        sender->srtt_x8 = 8 * rtt_ms;
        sender->rttvar_x4 = 2 * rtt_ms;
        return;
    }
    sender->rttvar_x4 = sender->rttvar_x4 - sender->rttvar_x4 / 4 + error;
    sender->srtt_x8 = sender->srtt_x8 - srtt + rtt_ms;
}

static void set_rto(lc_sender *sender)
{
    uint32_t wanted = sender->measured ? sender->srtt_x8 / 8 + sender->rttvar_x4 : LC_RTO_FIRST_MS;

    sender->rto_ms = wanted < LC_RTO_MIN_MS ? LC_RTO_MIN_MS : wanted > LC_RTO_MAX_MS ? LC_RTO_MAX_MS : wanted;
}

void lc_sender_acknowledge(lc_sender *sender, uint8_t expected, uint64_t now_ms)
{
    uint8_t acknowledged;
    uint8_t i;

    if (sender->flying == 0) {
        return;
    }
    acknowledged = (uint8_t)(expected - slot_at(sender, 0)->seq);
    if (acknowledged == 0 || acknowledged > sender->flying) {
        return;
    }
    for (i = 0; i < acknowledged; i++) {
        const lc_slot *slot = slot_at(sender, 0);

        if (slot->sends == 1) {
            measure(sender, (uint32_t)(now_ms - slot->sent_ms));
        }
        sender->first = (uint8_t)((sender->first + 1u) % LC_QUEUE_FRAMES);
        sender->count--;
        sender->flying--;
    }
    sender->again = sender->again > acknowledged ? (uint8_t)(sender->again - acknowledged) : 0;
    /* Progress ends the backoff: RFC 6298 section 5.7 would wait for a fresh sample, which loss may never give. */
    sender->unheeded = 0;
    set_rto(sender);
}

void lc_sender_rewind(lc_sender *sender)
{
    sender->again = 0;
}

uint64_t lc_sender_deadline(const lc_sender *sender)
{
    if (sender->flying == 0 || sender->again == 0) {
        return UINT64_MAX;
    }
    return sender->slots[sender->first].sent_ms + sender->rto_ms;
}

bool lc_sender_expire(lc_sender *sender, uint64_t now_ms, uint64_t heard_ms)
{
    if (now_ms < lc_sender_deadline(sender)) {
        return true;
    }
    if (heard_ms > sender->slots[sender->first].sent_ms) {
        sender->unheeded++;
    }
    if (sender->unheeded >= LC_MAX_SENDS) {
        return false;
    }
    sender->rto_ms = 2 * sender->rto_ms > LC_RTO_MAX_MS ? LC_RTO_MAX_MS : 2 * sender->rto_ms;
    lc_sender_rewind(sender);
    return true;
}

uint32_t lc_sender_rtt_ms(const lc_sender *sender)
{
    return (sender->srtt_x8 + 4) / 8;
}

void lc_receiver_init(lc_receiver *receiver)
{
    memset(receiver, 0, sizeof *receiver);
}

lc_arrival lc_receiver_arrive(lc_receiver *receiver, uint8_t seq)
{
    uint8_t ahead = (uint8_t)(seq - receiver->expected);

    if (ahead == 0) {
        receiver->expected++;
        receiver->complained = false;
        return LC_ARRIVAL_NEW;
    }
    if (ahead < 128) {
        receiver->gaps++;
        return LC_ARRIVAL_GAP;
    }
    receiver->duplicates++;
    return LC_ARRIVAL_DUPLICATE;
}

bool lc_receiver_complain(lc_receiver *receiver)
{
    bool first = !receiver->complained;

    receiver->complained = true;
    return first;
}
