-- Pictures that were just sent, and are so old that their origins should be asked: their keys wait in a shared
-- dictionary, and a timer hands them to the control pool, which queues them (image_cloud/refresh/old_pictures.py). What
-- is lost on the way is noted again when it is sent again.

local MOST_WAITING, AT_ONCE, EVERY_S = 20000, 1000, 0.5
local WAITING = "waiting" -- no key
local CONNECT_MS, SEND_MS, READ_MS = 1000, 5000, 15000
local HEAD = "POST /_old HTTP/1.1\r\nHost: localhost\r\nX-Image-Cloud-Internal: 1\r\nConnection: close\r\n"

local settings, shared

local M = {}

-- Take the control pool's socket, and for how many seconds a picture is noted once.
function M.configure(given)
    settings = given
end

-- Note a picture.
function M.note(key)
    if shared:safe_add(key, true, settings.again_s) and (shared:llen(WAITING) or 0) < MOST_WAITING then
        shared:rpush(WAITING, key)
    end
end

local function take()
    local keys = {}
    while #keys < AT_ONCE do
        local key = shared:lpop(WAITING)
        if not key then
            break
        end
        keys[#keys + 1] = key
    end
    return keys
end

local function hand_over()
    local keys = take()
    if #keys == 0 then
        return
    end
    local body, socket = table.concat(keys, "\n"), ngx.socket.tcp()
    socket:settimeouts(CONNECT_MS, SEND_MS, READ_MS)
    if socket:connect("unix:" .. settings.socket) then
        if socket:send(HEAD .. "Content-Length: " .. #body .. "\r\n\r\n" .. body) then
            socket:receive("*l")
        end
        socket:close()
    end
end

-- Have this worker of nginx hand over what all of them noted.
function M.start()
    shared = ngx.shared.image_cloud_old
    if settings then
        ngx.timer.every(EVERY_S, hand_over)
    end
end

return M
