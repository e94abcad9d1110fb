/* SPDX-License-Identifier: 0BSD */
#include "lc_session.h"

#include <string.h>

#define NEVER UINT64_MAX
#define SPEECH_HEAD 5u /* counter and flags before the codes */

static void clear(lc_session *session)
{
    session->retransmissions += session->sender.retransmissions;
    session->gaps += session->receiver.gaps;
    session->duplicates += session->receiver.duplicates;
    lc_sender_init(&session->sender);
    lc_receiver_init(&session->receiver);
    session->hello_ack_due = session->nak_due = session->ack_due = false;
    session->pong_count = session->audio_count = session->audio_run = session->log_count = 0;
    session->silence_ms = LC_SILENCE_MS;
}

void lc_session_init(lc_session *session, const lc_identity *identity, const lc_owner *owner)
{
    memset(session, 0, sizeof *session);
    lc_decoder_init(&session->decoder);
    session->identity = *identity;
    session->owner = *owner;
    session->rate = LC_BASE_RATE;
    session->rate_until_ms = NEVER;
    clear(session);
}

static void cry(lc_session *session, uint64_t now_ms)
{
    session->cry_ms = now_ms + LC_CRY_MS;
    session->cry_due = true;
}

void lc_session_start(lc_session *session, uint64_t now_ms)
{
    cry(session, now_ms);
}

/* --- the rate --- */

static void fresh_rate(lc_session *session, uint32_t rate)
{
    if (session->rate != rate) {
        session->rate = rate;
        lc_decoder_restart(&session->decoder);
        session->delimiter_due = true;
    }
}

static void rate_heard(lc_session *session)
{
    session->rate_until_ms = NEVER;
}

static void rate_expire(lc_session *session, uint64_t now_ms)
{
    if (now_ms >= session->rate_until_ms) {
        session->rate_until_ms = NEVER;
        session->rate_fallbacks++;
        fresh_rate(session, session->rate_before);
    }
}

static bool offers_rate(const lc_session *session, uint32_t baud)
{
    uint8_t i;

    if ((session->identity.capabilities & LC_CAPABILITY_BAUD_SWITCH) == 0) {
        return false;
    }
    for (i = 0; i < session->identity.baud_count; i++) {
        if (session->identity.bauds[i] == baud) {
            return true;
        }
    }
    return false;
}

/* --- the session --- */

static void lose(lc_session *session, lc_down reason, uint64_t now_ms)
{
    bool keep_rate = reason == LC_DOWN_REPLACED; /* The HELLO came at this rate, and there its answer is awaited. */

    session->up = false;
    session->number = 0;
    session->cry_ms = now_ms + LC_CRY_MS;
    session->rate_agreed = 0;
    session->rate_until_ms = NEVER;
    session->owner.down(session->owner.context, reason, now_ms);
    clear(session);
    if (!keep_rate) {
        fresh_rate(session, LC_BASE_RATE);
    }
}

void lc_session_close(lc_session *session, uint64_t now_ms)
{
    if (session->up) {
        lose(session, LC_DOWN_CLOSED, now_ms);
    }
}

static bool compatible(const lc_hello *host)
{
    return host->major == LC_PROTOCOL_MAJOR
           && (host->minor != LC_PROTOCOL_MINOR || host->schema == LC_SCHEMA_HASH);
}

static void hello(lc_session *session, const lc_frame *frame, uint64_t now_ms)
{
    lc_hello host;
    size_t at;

    if (!lc_decode_hello(&host, frame->payload, frame->length, &at)) {
        session->malformed++;
        return;
    }
    if (session->up && host.session == session->number) {
        session->heard_ms = now_ms;
    } else {
        if (session->up) {
            lose(session, LC_DOWN_REPLACED, now_ms);
        }
        if (compatible(&host)) {
            clear(session);
            lc_sender_use_window(&session->sender, host.window);
            session->cry_due = false;
            session->number = host.session;
            session->lease_action = LC_LEASE_ACTION_SILENCE;
            session->heard_ms = now_ms;
            session->sessions++;
            session->up = true;
            session->owner.up(session->owner.context, now_ms);
        }
    }
    session->hello_ack_due = true;
    session->hello_ack_number = host.session;
}

/* --- in --- */

static void answer(lc_session *session, const lc_frame *frame, uint8_t status, const uint8_t *result, size_t length)
{
    uint8_t reply[LC_SLOT_BYTES];
    int seq;

    reply[0] = frame->seq;
    reply[1] = status;
    if (length > sizeof reply - 2) {
        length = sizeof reply - 2;
    }
    if (length > 0) {
        memcpy(reply + 2, result, length);
    }
    seq = lc_sender_offer(&session->sender, LC_KIND_RSP, frame->line, frame->id, reply, length + 2);
    if (seq >= 0 && session->rate_agreed != 0 && frame->id == LC_ID_SET_BAUD) {
        session->rate_seq = (uint8_t)seq;
    }
}

/* "byte 17", for whoever reads the host's log. */
static size_t refusal(uint8_t *out, size_t at)
{
    static const char WORD[] = "byte ";
    size_t used = sizeof WORD - 1;
    size_t tens = 100;

    memcpy(out, WORD, used);
    for (; tens > 0; tens /= 10) {
        if (at >= tens || tens == 1) {
            out[used++] = (uint8_t)('0' + at / tens % 10);
        }
    }
    return used;
}

/* Commands that are the session's own business. */
static bool own_command(lc_session *session, const lc_frame *frame, const lc_command *command)
{
    uint8_t status = LC_STATUS_OK;

    switch (command->id) {
    case LC_ID_SET_BAUD:
        if (offers_rate(session, command->as.set_baud.baud)) {
            session->rate_agreed = command->as.set_baud.baud;
        } else {
            status = LC_STATUS_UNSUPPORTED;
        }
        break;
    case LC_ID_SET_HOST_LEASE:
        if (command->as.set_host_lease.ms < LC_LEASE_MIN_MS || command->as.set_host_lease.ms > LC_LEASE_MAX_MS) {
            status = LC_STATUS_INVALID;
        } else {
            session->silence_ms = command->as.set_host_lease.ms;
            session->lease_action = command->as.set_host_lease.action;
        }
        break;
    default:
        return false;
    }
    answer(session, frame, status, NULL, 0);
    return true;
}

static void command(lc_session *session, const lc_frame *frame, uint64_t now_ms)
{
    lc_command order;
    lc_result result;
    uint8_t text[LC_REFUSAL_BYTES];
    uint32_t number = session->sessions;
    uint8_t status;
    size_t at;

    switch (lc_decode_command(&order, frame->id, frame->payload, frame->length, &at)) {
    case LC_UNKNOWN_ID:
        session->unknown++;
        answer(session, frame, LC_STATUS_UNKNOWN, NULL, 0);
        return;
    case LC_MALFORMED:
        session->malformed++;
        answer(session, frame, LC_STATUS_INVALID, text, refusal(text, at));
        return;
    case LC_DECODED:
        break;
    }
    if (own_command(session, frame, &order)) {
        return;
    }
    result.length = 0;
    status = session->owner.command(session->owner.context, frame->line, &order, &result, now_ms);
    if (status == LC_NO_REPLY || !session->up || number != session->sessions) {
        return;
    }
    answer(session, frame, status, result.bytes, status == LC_STATUS_OK ? result.length : 0);
}

static void sequenced(lc_session *session, const lc_frame *frame, uint64_t now_ms)
{
    lc_arrival arrival;

    if (frame->kind == LC_KIND_CMD && session->sender.count >= LC_QUEUE_FRAMES / 2) {
        return; /* There is no room for an answer: as if it had not arrived, it will come again. */
    }
    arrival = lc_receiver_arrive(&session->receiver, frame->seq);
    session->ack_due = true;
    if (arrival == LC_ARRIVAL_GAP && lc_receiver_complain(&session->receiver)) {
        session->nak_due = true;
    }
    if (arrival != LC_ARRIVAL_NEW) {
        return;
    }
    if (frame->kind == LC_KIND_CMD) {
        command(session, frame, now_ms);
    } else {
        session->unknown++; /* A card gives no commands and hears no events. */
    }
}

static void speech(lc_session *session, const lc_frame *frame)
{
    const uint8_t *p = frame->payload;
    uint32_t counter;

    if (frame->id != LC_ID_AUDIO_TX || frame->length < SPEECH_HEAD) {
        session->malformed++;
        return;
    }
    session->audio_in++;
    counter = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    session->owner.speech(session->owner.context, frame->line, counter, p[4], p + SPEECH_HEAD,
                          (size_t)frame->length - SPEECH_HEAD);
}

static void ping(lc_session *session, uint32_t t_sender, uint64_t now_ms)
{
    uint8_t last;

    if (session->pong_count == LC_PONG_QUEUE) {
        return;
    }
    last = (uint8_t)((session->pong_first + session->pong_count++) % LC_PONG_QUEUE);
    session->pong_sender[last] = t_sender;
    session->pong_own[last] = (uint32_t)now_ms;
}

static void housekeeping(lc_session *session, const lc_frame *frame, uint64_t now_ms)
{
    size_t at;
    bool whole = true;

    switch (frame->id) {
    case LC_ID_ACK:
    case LC_ID_PONG:
        break;
    case LC_ID_PING: {
        lc_ping asked;

        if ((whole = lc_decode_ping(&asked, frame->payload, frame->length, &at))) {
            ping(session, asked.t_sender, now_ms);
        }
        break;
    }
    case LC_ID_NAK: {
        lc_nak missing;

        if ((whole = lc_decode_nak(&missing, frame->payload, frame->length, &at))) {
            lc_sender_acknowledge(&session->sender, missing.expected, now_ms);
            lc_sender_rewind(&session->sender);
        }
        break;
    }
    default:
        session->unknown++;
        break;
    }
    if (!whole) {
        session->malformed++;
    }
}

static void frame_arrived(lc_session *session, const lc_frame *frame, uint64_t now_ms)
{
    rate_heard(session);
    if (frame->kind == LC_KIND_LINK && frame->id == LC_ID_HELLO) {
        hello(session, frame, now_ms);
        return;
    }
    if (!session->up) {
        if (session->cry_ms <= now_ms + LC_CRY_MS - LC_CRY_MIN_MS) {
            cry(session, now_ms);
        }
        return;
    }
    session->heard_ms = now_ms;
    lc_sender_acknowledge(&session->sender, frame->ack, now_ms);
    switch (frame->kind) {
    case LC_KIND_LINK:
        housekeeping(session, frame, now_ms);
        break;
    case LC_KIND_CMD:
    case LC_KIND_RSP:
    case LC_KIND_EVT:
        sequenced(session, frame, now_ms);
        break;
    case LC_KIND_AUDIO:
        speech(session, frame);
        break;
    default:
        session->unknown++;
        break;
    }
}

void lc_session_receive(lc_session *session, const uint8_t *data, size_t length, uint64_t now_ms)
{
    lc_frame frame;
    size_t i;

    for (i = 0; i < length; i++) {
        if (lc_decoder_byte(&session->decoder, data[i], &frame) == LC_FRAME_GOOD) {
            frame_arrived(session, &frame, now_ms);
        }
    }
}

/* --- out --- */

static size_t put_frame(lc_session *session, uint8_t *out, lc_frame *frame)
{
    session->ack_due = false;
    frame->ack = session->receiver.expected;
    return lc_frame_encode(frame, out, LC_FRAME_BYTES);
}

static size_t put_link(lc_session *session, uint8_t *out, uint8_t id, const uint8_t *payload, int length)
{
    lc_frame frame = {LC_KIND_LINK, 0, 0, 0, 0, id, 0, NULL};

    if (length < 0) {
        return 0;
    }
    frame.payload = payload;
    frame.length = (uint8_t)length;
    return put_frame(session, out, &frame);
}

static uint8_t put_string(char *out, size_t size, const char *text)
{
    size_t length = strlen(text);

    length = length > size ? size : length;
    memcpy(out, text, length);
    return (uint8_t)length;
}

static size_t put_hello_ack(lc_session *session, uint8_t *out, uint32_t number)
{
    const lc_identity *identity = &session->identity;
    uint8_t payload[LC_MAX_PAYLOAD];
    lc_hello_ack card;

    memset(&card, 0, sizeof card);
    card.major = LC_PROTOCOL_MAJOR;
    card.minor = LC_PROTOCOL_MINOR;
    card.schema = LC_SCHEMA_HASH;
    card.session = number;
    card.boot_id = identity->boot_id;
    card.reset_cause = identity->reset_cause;
    card.max_payload = LC_MAX_PAYLOAD;
    card.window = LC_WINDOW;
    card.capabilities = identity->capabilities;
    card.lines = identity->lines;
    card.bauds_count = identity->baud_count;
    memcpy(card.bauds, identity->bauds, identity->baud_count * sizeof card.bauds[0]);
    card.firmware_length = put_string(card.firmware, sizeof card.firmware, identity->firmware);
    card.hardware_length = put_string(card.hardware, sizeof card.hardware, identity->hardware);
    return put_link(session, out, LC_ID_HELLO_ACK, payload, lc_encode_hello_ack(&card, payload, sizeof payload));
}

/* LINK: what keeps the two ends together goes before everything else. */
static size_t send_housekeeping(lc_session *session, uint8_t *out)
{
    uint8_t payload[LC_MAX_PAYLOAD];

    if (session->hello_ack_due) {
        session->hello_ack_due = false;
        return put_hello_ack(session, out, session->hello_ack_number);
    }
    if (session->nak_due) {
        lc_nak missing = {session->receiver.expected, LC_NAK_REASON_GAP};

        session->nak_due = false;
        return put_link(session, out, LC_ID_NAK, payload, lc_encode_nak(&missing, payload, sizeof payload));
    }
    if (session->pong_count > 0) {
        lc_pong pong = {session->pong_sender[session->pong_first], session->pong_own[session->pong_first]};

        session->pong_first = (uint8_t)((session->pong_first + 1u) % LC_PONG_QUEUE);
        session->pong_count--;
        return put_link(session, out, LC_ID_PONG, payload, lc_encode_pong(&pong, payload, sizeof payload));
    }
    return 0;
}

static void forget_speech(lc_session *session, uint8_t at)
{
    session->audio_count--;
    memmove(&session->audio[at], &session->audio[at + 1], (size_t)(session->audio_count - at) * sizeof session->audio[0]);
}

static size_t send_speech(lc_session *session, uint8_t *out)
{
    const lc_speech *next = &session->audio[0];
    uint8_t payload[SPEECH_HEAD + LC_AUDIO_BYTES];
    lc_frame frame = {LC_KIND_AUDIO, 0, 0, 0, 0, LC_ID_AUDIO_RX, sizeof payload, payload};

    payload[0] = (uint8_t)next->counter;
    payload[1] = (uint8_t)(next->counter >> 8);
    payload[2] = (uint8_t)(next->counter >> 16);
    payload[3] = (uint8_t)(next->counter >> 24);
    payload[4] = next->flags;
    memcpy(payload + SPEECH_HEAD, next->data, LC_AUDIO_BYTES);
    frame.line = next->line;
    forget_speech(session, 0);
    session->audio_out++;
    return put_frame(session, out, &frame);
}

static size_t send_reliable(lc_session *session, uint8_t *out, uint64_t now_ms)
{
    const lc_slot *slot = session->up ? lc_sender_take(&session->sender, now_ms) : NULL;
    lc_frame frame;
    size_t used;

    session->audio_run = 0;
    if (slot == NULL) {
        return 0;
    }
    frame.kind = slot->kind;
    frame.line = slot->line;
    frame.flags = slot->sends > 1 ? LC_FLAG_RETRANSMITTED : 0;
    frame.seq = slot->seq;
    frame.id = slot->id;
    frame.length = slot->length;
    frame.payload = slot->payload;
    used = put_frame(session, out, &frame);
    if (session->rate_agreed != 0 && slot->kind == LC_KIND_RSP && slot->seq == session->rate_seq) {
        session->rate_before = session->rate;
        session->rate_until_ms = now_ms + LC_CONFIRM_MS;
        fresh_rate(session, session->rate_agreed);
        session->rate_agreed = 0;
    }
    return used;
}

static size_t send_log(lc_session *session, uint8_t *out)
{
    const lc_log_entry *next = &session->log[session->log_first];
    uint8_t payload[2 + LC_LOG_BYTES];
    lc_frame frame = {LC_KIND_LOG, 0, 0, 0, 0, LC_ID_LOG_LINE, 0, payload};

    payload[0] = next->level;
    payload[1] = next->length;
    memcpy(payload + 2, next->text, next->length);
    frame.length = (uint8_t)(2u + next->length);
    session->log_first = (uint8_t)((session->log_first + 1u) % LC_LOG_QUEUE);
    session->log_count--;
    return put_frame(session, out, &frame);
}

size_t lc_session_send(lc_session *session, uint8_t *out, uint64_t now_ms)
{
    size_t used;

    if (session->delimiter_due) {
        session->delimiter_due = false; /* Ends whatever noise the change of rate was for the host. */
        out[0] = 0;
        return 1;
    }
    if (session->cry_due) {
        session->cry_due = false;
        out[0] = out[1] = 0;
        used = put_hello_ack(session, out + 2, 0);
        return used + 2;
    }
    if ((used = send_housekeeping(session, out)) > 0) {
        return used;
    }
    if (session->audio_count > 0) {
        if (++session->audio_run > LC_AUDIO_TURN && (used = send_reliable(session, out, now_ms)) > 0) {
            return used;
        }
        return send_speech(session, out);
    }
    if (session->up) {
        if ((used = send_reliable(session, out, now_ms)) > 0) {
            return used;
        }
        if (session->ack_due) {
            return put_link(session, out, LC_ID_ACK, NULL, 0);
        }
        if (session->log_count > 0) {
            return send_log(session, out);
        }
    }
    return 0;
}

bool lc_session_event(lc_session *session, uint8_t id, uint8_t line, const uint8_t *payload, int length)
{
    return session->up && length >= 0
           && lc_sender_offer(&session->sender, LC_KIND_EVT, line, id, payload, (size_t)length) >= 0;
}

void lc_session_speech(lc_session *session, uint8_t line, uint32_t counter, uint8_t flags, const uint8_t *data)
{
    uint8_t own = 0;
    uint8_t oldest = 0;
    uint8_t i;
    lc_speech *last;

    if (!session->up || line >= LC_LINES) {
        return;
    }
    for (i = session->audio_count; i > 0; i--) {
        if (session->audio[i - 1].line == line) {
            own++;
            oldest = (uint8_t)(i - 1);
        }
    }
    if (own == LC_AUDIO_QUEUE) {
        forget_speech(session, oldest);
        session->audio_dropped++;
    }
    last = &session->audio[session->audio_count++];
    last->line = line;
    last->counter = counter;
    last->flags = flags;
    memcpy(last->data, data, LC_AUDIO_BYTES);
}

void lc_session_log(lc_session *session, uint8_t level, const char *text)
{
    lc_log_entry *last;

    if (!session->up || session->log_count == LC_LOG_QUEUE) {
        return;
    }
    last = &session->log[(session->log_first + session->log_count++) % LC_LOG_QUEUE];
    last->level = level;
    last->length = put_string(last->text, sizeof last->text, text);
}

/* --- time --- */

static uint64_t earlier(uint64_t one, uint64_t other)
{
    return one < other ? one : other;
}

uint64_t lc_session_next_timer(const lc_session *session)
{
    if (!session->up) {
        return session->cry_ms;
    }
    return earlier(session->rate_until_ms,
                   earlier(session->heard_ms + session->silence_ms, lc_sender_deadline(&session->sender)));
}

void lc_session_on_timer(lc_session *session, uint64_t now_ms)
{
    rate_expire(session, now_ms);
    if (session->up) {
        if (now_ms >= session->heard_ms + session->silence_ms) {
            lose(session, LC_DOWN_SILENT, now_ms);
        } else if (!lc_sender_expire(&session->sender, now_ms, session->heard_ms)) {
            lose(session, LC_DOWN_UNACKNOWLEDGED, now_ms);
        }
    } else if (now_ms >= session->cry_ms) {
        cry(session, now_ms);
    }
}

uint32_t lc_session_retransmissions(const lc_session *session)
{
    return session->retransmissions + session->sender.retransmissions;
}

uint32_t lc_session_gaps(const lc_session *session)
{
    return session->gaps + session->receiver.gaps;
}
